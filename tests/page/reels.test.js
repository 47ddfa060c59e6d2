// Long tracks on a context that writes down what it is told: which piece is laid when, and where it is joined.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createReels } from "../../src/page/web/reels.js";

const RATE_HZ = 100;
const LENGTH_S = 305;
const settled = async () => { for (let k = 0; k < 20; k += 1) await new Promise((done) => { setImmediate(done); }); };

/** WAV, 16 bits, mono. */
function wav() {
  const file = Buffer.alloc(44 + 2 * RATE_HZ * LENGTH_S);
  file.write("RIFF", 0);
  file.write("WAVEfmt ", 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(RATE_HZ, 24);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36);
  file.writeUInt32LE(file.length - 44, 40);
  return Uint8Array.from(file).buffer;
}

function stubContext() {
  const host = {
    currentTime: 10, sources: [], decoded: [],
    createGain: () => ({ gain: { lines: [], setValueAtTime() {}, cancelScheduledValues() {}, linearRampToValueAtTime(value, at) { this.lines.push([value, at]); } }, connect() {}, disconnect() {} }),
    createBufferSource() {
      const source = { playbackRate: { value: 1, sets: [], setValueAtTime(value, at) { this.sets.push([value, at]); } }, connect(gain) { this.gain = gain; }, disconnect() {}, start(at, offset) { this.began = [at, offset]; }, stop(at = 0) { this.stopped = at; } };
      host.sources.push(source);
      return source;
    },
    decodeAudioData(bytes, ready) {
      host.decoded.push((bytes.byteLength - 44) / 2 / RATE_HZ);
      ready({ duration: (bytes.byteLength - 44) / 2 / RATE_HZ });
    },
  };
  return host;
}

async function playing(more = {}) {
  const [host, reels] = [stubContext(), createReels()];
  assert.equal(await reels.load(host, "hour", wav()), LENGTH_S);
  const ends = [];
  reels.begin(host, { act: "begin", segment: 1, voice: 1, track_id: "hour", at_s: 12, offset_s: 0, rate: 1, looped: false, rise_s: 0, ...more }, {}, () => ends.push(1));
  await settled();
  return { host, reels, ends };
}

const near = (one, other) => assert.ok(Math.abs(one - other) < 1e-6, `${one} and ${other}`);

test("sx10: pieces of a long track follow each other on the audio clock, and only two are laid", async () => {
  const { host } = await playing();
  assert.equal(host.sources.length, 2);
  assert.deepEqual(host.sources[0].began, [12, 0]);
  near(host.sources[1].began[0], 22);
  assert.ok(host.sources[1].began[1] > 0.0499 && host.sources[1].began[1] < 0.0601, "a margin, in whole frames");
  near(host.sources[0].stopped, 22.005);
  host.currentTime = 22.01;
  host.sources[0].onended();
  await settled();
  assert.equal(host.sources.length, 3);
  near(host.sources[2].began[0], 32);
  assert.ok(host.decoded.every((s) => s <= 10.2), `${host.decoded}`);
});

test("sx10: a piece that waits is laid anew when the rate changes", async () => {
  const { host, reels } = await playing();
  host.currentTime = 14;
  reels.rate(host, { act: "rate", segment: 1, at_s: 14.5, rate: 1.002 });
  const [sounds, waited, anew] = host.sources;
  assert.deepEqual(sounds.playbackRate.sets.pop(), [1.002, 14.5]);
  assert.equal(waited.onended, null);
  near(anew.began[0], 14.5 + 7.5 / 1.002);
  assert.equal(anew.playbackRate.value, 1.002);
  near(sounds.stopped, anew.began[0] + 0.005);
});

test("sx10: where a loop closes one ends in the frame in which the other begins", async () => {
  const { host } = await playing({ offset_s: 300, looped: true });
  const [last, first] = host.sources;
  near(last.began[1], 0.05);
  // After a seek a short piece comes first; run on to the end of the pass.
  host.currentTime = first.began[0] + 0.01;
  last.onended();
  await settled();
  const wraps = host.sources.find((it) => it.began[1] === 0);
  near(wraps.began[0], 12 + 5);
  assert.deepEqual(wraps.gain.gain.lines, [], "no fade");
  near(first.stopped, 17);
});

test("a long track that is told to end ends, and says so once nothing of it sounds", async () => {
  const { host, reels, ends } = await playing();
  reels.end(host, { act: "end", segment: 1, at_s: 15, fall_s: 0.5 });
  assert.deepEqual(host.sources.map((it) => it.stopped), [15.5, 15.5]);
  host.sources.forEach((it) => it.onended());
  await settled();
  assert.deepEqual([ends.length, reels.owns(1), host.sources.length], [1, false, 2]);
});
