// The microphone on a browser of stubs: who may listen, and which stretch of the audio clock is handed in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createMicrophone } from "../../src/page/web/microphone.js";

const RATE_HZ = 1000;

function stubBrowser({ error } = {}) {
  const track = { stop() { this.isStopped = true; } };
  const source = { connect: (to) => to, disconnect() {} };
  const context = {
    sampleRate: RATE_HZ, destination: {}, createMediaStreamSource: () => source,
    audioWorklet: { async addModule(url) { context.module = url; } },
  };
  globalThis.AudioWorkletNode = class {
    constructor() {
      this.port = {};
      context.recorder = this;
    }
    connect(to) { return to; }
    disconnect() {}
  };
  const asked = [];
  const mediaDevices = {
    async getUserMedia(wish) {
      asked.push(wish);
      if (error) throw Object.assign(new Error(error), { name: error });
      return { getTracks: () => [track] };
    },
  };
  const taken = [];
  const world = {
    isSecure: true, mediaDevices, context: () => context,
    handIn: (rateHz, fromS, samples) => taken.push({ rateHz, fromS, samples }),
  };
  return { world, context, asked, taken, track };
}

const block = (context, frame, samples) => context.recorder.port.onmessage({ data: { frame, samples: new Float32Array(samples) } });

test("a page without TLS, a listener who says no and a phone without ears are told apart", async () => {
  const { world } = stubBrowser();
  assert.equal(await createMicrophone({ ...world, isSecure: false }).open(), "insecure");
  assert.equal(await createMicrophone({ ...world, mediaDevices: undefined }).open(), "missing");
  assert.equal(await createMicrophone({ ...world, context: () => null }).open(), "missing");
  assert.equal(await createMicrophone(stubBrowser({ error: "NotAllowedError" }).world).open(), "refused");
  assert.equal(await createMicrophone(stubBrowser({ error: "NotFoundError" }).world).open(), "missing");
});

test("nothing tidies up what is heard", async () => {
  const { world, asked } = stubBrowser();
  assert.equal(await createMicrophone(world).open(), "ready");
  assert.deepEqual(asked, [{ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } }]);
});

test("the stretch that was asked for is handed in, each block in its place, and the microphone is closed", async () => {
  const { world, context, taken, track } = stubBrowser();
  const microphone = createMicrophone(world);
  await microphone.open();
  block(context, 2000, [9, 9]);
  microphone.perform({ act: "listen", from_s: 2.004, to_s: 2.0099 });
  block(context, 2002, [9, 9]);
  block(context, 2004, [1, 2]);
  // A block got lost: silence stands for it.
  assert.equal(track.isStopped, undefined);
  block(context, 2008, [5, 6]);
  assert.equal(taken.length, 1);
  const [{ rateHz, fromS, samples }] = taken;
  assert.deepEqual([rateHz, fromS, [...samples].slice(0, 6)], [RATE_HZ, 2.004, [1, 2, 0, 0, 5, 6]]);
  assert.equal(track.isStopped, true);
});

test("what is given up is closed and handed to nobody", async () => {
  const { world, taken, track } = stubBrowser();
  const microphone = createMicrophone(world);
  await microphone.open();
  microphone.perform({ act: "listen", from_s: 1, to_s: 2 });
  microphone.perform({ act: "deafen" });
  assert.deepEqual([track.isStopped, taken], [true, []]);
});
