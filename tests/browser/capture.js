// Runs inside the page before its own scripts: listens to what goes to the loudspeaker, sample by sample.
//
// What is captured is in frames of the context's clock. When a frame *leaves* is told by output stamps, through
// which a straight line is laid, a new one wherever the sound stood still; `performance.timeOrigin` makes the lines of
// two pages comparable, for both count from it by the machine's one monotonic clock.

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

/** The same for a page that has no worklets, as over plain HTTP: what it orders of its context, which plays it so. */
export function captureOrders() {
  const [played, stamps] = [[], []];
  const { start, stop } = AudioBufferSourceNode.prototype;
  AudioBufferSourceNode.prototype.start = function begin(atS = 0, ...rest) {
    this.asOrdered = { atS, buffer: this.buffer, untilS: Infinity };
    played.push(this.asOrdered);
    return start.call(this, atS, ...rest);
  };
  AudioBufferSourceNode.prototype.stop = function end(atS = 0, ...rest) {
    if (this.asOrdered) this.asOrdered.untilS = Math.min(this.asOrdered.untilS, atS);
    return stop.call(this, atS, ...rest);
  };
  const Context = window.AudioContext;
  window.AudioContext = class extends Context {
    constructor(...options) {
      super(...options);
      setInterval(() => {
        const { contextTime, performanceTime } = this.getOutputTimestamp();
        stamps.push({ contextTime, performanceTime, madeS: this.currentTime, nowMs: performance.now() });
      }, 50);
    }
  };
  window.heard = () => {
    const clicks = [];
    let lastS = 0;
    for (const { atS, buffer, untilS } of played) {
      const [samples, rate] = [buffer.getChannelData(0), buffer.sampleRate];
      const frames = Math.min(samples.length, Math.round((untilS - atS) * rate));
      for (let n = 0; n < frames; n += 1) {
        const audioS = atS + n / rate;
        if (Math.abs(samples[n]) > 0.4 && audioS > lastS + 0.01) {
          lastS = audioS;
          clicks.push({ audioS });
        }
      }
    }
    return { clicks, stamps, originMs: performance.timeOrigin };
  };
}

/** When each click left, UNIX milliseconds. */
export function clickTimes({ clicks, stamps, originMs }) {
  const parts = stretches(stamps).map((part) => ({ ...line(part), untilS: part[part.length - 1].contextTime }));
  return clicks.map(({ audioS }) => {
    const { slope, middle } = parts.find(({ untilS }) => audioS <= untilS) || parts[parts.length - 1];
    return originMs + middle.ms + (audioS - middle.s) * slope;
  });
}

/**
 * How long the sound stood still, in milliseconds, while the clicks from `first` on were heard, or so shortly before
 * that the phone was still making it good. It is the machine's doing: Chromium's sound process, starved for a buffer
 * (10 ms), plays silence in its place, and all that follows is late by as much.
 */
export function stoodStillMs({ clicks, stamps }, first) {
  const fromS = clicks[first].audioS - MADE_GOOD_S;
  const parts = stretches(stamps).filter((part) => part[part.length - 1].contextTime > fromS);
  return parts.slice(1).reduce((sum, part, k) => sum + Math.abs(behindMs(part[0]) - behindMs(parts[k].at(-1))), 0);
}

/** A second to notice it, then 20 ms at 0.3 %, or a new anchor. */
const MADE_GOOD_S = 12;
/** Sound is made in blocks of 128 frames, 2.7 ms; nothing that stalls loses less than one. */
const SLIP_MIN_MS = 2;
/** The middle of so many stamps, a quarter of a second, is not moved by one that jitters. */
const SURE_AFTER = 5;
/** Shorter stretches tell no crystal. */
const SLOPE_AFTER = 100;

const behindMs = ({ contextTime, performanceTime }) => performanceTime - contextTime * 1000;

/** Stamps between which the sound never stood still. */
function stretches(stamps) {
  const live = stamps.filter(({ contextTime }) => contextTime > 0);
  const parts = [[]];
  const middle = (from, to) => median(live.slice(Math.max(0, from), to).map(behindMs));
  live.forEach((stamp, k) => {
    const part = parts[parts.length - 1];
    const jumps = part.length > 0 && Math.abs(behindMs(stamp) - behindMs(live[k - 1])) > SLIP_MIN_MS;
    const stays = () => Math.abs(middle(k, k + SURE_AFTER) - middle(k - SURE_AFTER, k)) > SLIP_MIN_MS;
    if (jumps && stays()) parts.push([stamp]);
    else part.push(stamp);
  });
  return parts;
}

/** A straight line through stamps that jitter: the middle slope and the middle point. */
function line(stamps) {
  const half = Math.floor(stamps.length / 2);
  const slopes = stamps.slice(0, half).map((early, k) => {
    const late = stamps[k + half];
    return (late.performanceTime - early.performanceTime) / (late.contextTime - early.contextTime);
  });
  const slope = stamps.length < SLOPE_AFTER ? 1000 : median(slopes);
  const s = stamps[half].contextTime;
  const ms = median(stamps.map((it) => it.performanceTime - (it.contextTime - s) * slope));
  return { slope, middle: { s, ms } };
}

/** By how much each time of `two` is after the one of `one` that is nearest, milliseconds. */
export function between(one, two) {
  const nearest = (time) => one.reduce((best, it) => (Math.abs(it - time) < Math.abs(best - time) ? it : best));
  const inside = two.filter((time) => time > one[0] - ALONE_MS && time < one[one.length - 1] + ALONE_MS);
  return inside.map((time) => time - nearest(time));
}

/** A click whose partner was not recorded has none. */
const ALONE_MS = 100;

/** The smallest distance that so much of them do not exceed. */
export function quantile(values, part) {
  const sorted = values.map(Math.abs).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
