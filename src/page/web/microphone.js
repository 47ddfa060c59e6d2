// The microphone, open only while the phone is calibrated: a stretch of the audio clock is recorded and handed in.
//
// Browsers tidy up what people say into phones; a chirp is no speech, so all of that is switched off. On some phones
// an open microphone changes the way that sound takes: the core compares its latency before and after.

/** @typedef {{ fromFrame: number, samples: Float32Array }} Take */

/**
 * @param {object} world
 * @param {boolean} world.isSecure
 * @param {MediaDevices | undefined} world.mediaDevices
 * @param {() => AudioContext | null} world.context
 * @param {(rateHz: number, fromS: number, samples: Float32Array) => void} world.handIn
 * @returns {import("./types").Microphone}
 */
export function createMicrophone({ isSecure, mediaDevices, context, handIn }) {
  /** @type {MediaStream | null} */
  let stream = null;
  /** @type {AudioWorkletNode | null} */
  let recorder = null;
  /** @type {MediaStreamAudioSourceNode | null} */
  let source = null;
  /** @type {Take | null} */
  let take = null;

  async function open() {
    if (!isSecure) return "insecure";
    const host = context();
    if (!mediaDevices || !mediaDevices.getUserMedia || !host || !host.audioWorklet) return "missing";
    close();
    try {
      stream = await mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
      await host.audioWorklet.addModule("/page/recorder.js");
    } catch (error) {
      close();
      return error instanceof Error && error.name === "NotFoundError" ? "missing" : "refused";
    }
    source = host.createMediaStreamSource(stream);
    recorder = new AudioWorkletNode(host, "recorder");
    recorder.port.onmessage = ({ data }) => keep(host, data);
    // What is not on its way to the loudspeaker is not run by every browser; the recorder is silent.
    source.connect(recorder).connect(host.destination);
    return "ready";
  }

  /** @param {AudioContext} host @param {{ frame: number, samples: Float32Array }} block */
  function keep(host, { frame, samples }) {
    if (!take) return;
    const { fromFrame, samples: kept } = take;
    const at = frame - fromFrame;
    if (at >= 0 && at + samples.length <= kept.length) kept.set(samples, at);
    if (at + samples.length < kept.length) return;
    close();
    handIn(host.sampleRate, fromFrame / host.sampleRate, kept);
  }

  function close() {
    take = null;
    if (source) source.disconnect();
    if (recorder) recorder.disconnect();
    if (recorder) recorder.port.onmessage = null;
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = source = recorder = null;
  }

  return {
    open,
    perform(act) {
      const host = context();
      if (act.act === "deafen" || !host || !recorder) return close();
      const fromFrame = Math.floor(act.from_s * host.sampleRate);
      const frames = Math.ceil((act.to_s - act.from_s) * host.sampleRate);
      take = { fromFrame, samples: new Float32Array(frames) };
    },
  };
}
