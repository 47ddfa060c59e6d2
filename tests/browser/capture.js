// Runs inside the page before its own scripts: listens to what goes to the loudspeaker, sample by sample.
//
// What is captured is in frames of the context's clock. When a frame *leaves* is told by output stamps, through
// which a straight line is laid; `performance.timeOrigin` makes the lines of two pages comparable.

export function capture() {
  const heard = { clicks: [], stamps: [] };
  const worklet = `registerProcessor("ear", class extends AudioWorkletProcessor {
    process([input]) {
      const samples = input[0] || [];
      for (let k = 0; k < samples.length; k += 1) {
        if (Math.abs(samples[k]) > 0.4 && currentFrame + k > (this.last || 0) + 480) {
          this.last = currentFrame + k;
          // A click that falls between two samples is split among them.
          const next = k + 1 < samples.length ? Math.abs(samples[k + 1]) : 0;
          this.port.postMessage({ audioS: (currentFrame + k) / sampleRate, peak: samples[k], next });
        }
      }
      return true;
    }
  });`;
  const connect = AudioNode.prototype.connect;
  const ears = new WeakMap();

  function earOf(context) {
    if (!ears.has(context)) {
      const url = URL.createObjectURL(new Blob([worklet], { type: "text/javascript" }));
      ears.set(context, context.audioWorklet.addModule(url).then(() => {
        const ear = new AudioWorkletNode(context, "ear");
        ear.port.onmessage = ({ data }) => heard.clicks.push(data);
        connect.call(ear, context.destination);
        setInterval(() => {
          const { contextTime, performanceTime } = context.getOutputTimestamp();
          const nowMs = performance.now();
          heard.stamps.push({ contextTime, performanceTime, madeS: context.currentTime, nowMs });
        }, 50);
        return ear;
      }));
    }
    return ears.get(context);
  }

  AudioNode.prototype.connect = function connectAndListen(to, ...rest) {
    if (to === this.context.destination) earOf(this.context).then((ear) => connect.call(this, ear));
    return connect.call(this, to, ...rest);
  };
  // The ear needs a moment to grow, before the first track.
  const Context = window.AudioContext;
  window.AudioContext = class extends Context {
    constructor(...options) {
      super(...options);
      earOf(this);
    }
  };
  window.heard = () => ({ ...heard, originMs: performance.timeOrigin });
}

/** When each click left, UNIX milliseconds. */
export function clickTimes({ clicks, stamps, originMs }) {
  const { slope, middle } = line(stamps.filter(({ contextTime }) => contextTime > 0));
  return clicks.map(({ audioS }) => originMs + middle.ms + (audioS - middle.s) * slope);
}

/** A straight line through stamps that jitter: the middle slope and the middle point. */
function line(stamps) {
  const half = Math.floor(stamps.length / 2);
  const slopes = stamps.slice(0, half).map((early, k) => {
    const late = stamps[k + half];
    return (late.performanceTime - early.performanceTime) / (late.contextTime - early.contextTime);
  });
  const slope = median(slopes);
  const s = stamps[half].contextTime;
  const ms = median(stamps.map((it) => it.performanceTime - (it.contextTime - s) * slope));
  return { slope, middle: { s, ms } };
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
