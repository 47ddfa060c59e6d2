// Runs in the sound thread: hands on what the microphone hears, with its place on the audio clock.

/* global registerProcessor, AudioWorkletProcessor, currentFrame */
// @ts-nocheck: the sound thread's own names are in no library of types.

registerProcessor("recorder", class extends AudioWorkletProcessor {
  process([input]) {
    if (input[0]) this.port.postMessage({ frame: currentFrame, samples: input[0].slice() });
    return true;
  }
});
