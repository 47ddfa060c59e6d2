// Pieces of long tracks as files of their own. That browsers decode them to the same samples: tests/browser/long.test.js.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cutter } from "../../src/page/web/cuts.js";

const FLAC = readFileSync(new URL("../../config/demo/audio/sunrise.flac", import.meta.url));
const bufferOf = (bytes) => Uint8Array.from(bytes).buffer;

/** A chunk of RIFF, with a pad octet where its size is odd. */
function chunk(name, bytes) {
  const head = Buffer.alloc(8);
  head.write(name);
  head.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([head, bytes, Buffer.alloc(bytes.length % 2)]);
}

/** 24 bits in stereo at 44.1 kHz, a chunk of words before the format; frame `n` begins with `n`. */
function wav(frames) {
  const format = Buffer.alloc(16);
  [1, 2].forEach((it, k) => format.writeUInt16LE(it, 2 * k));
  format.writeUInt32LE(44_100, 4);
  format.writeUInt32LE(44_100 * 6, 8);
  [6, 24].forEach((it, k) => format.writeUInt16LE(it, 12 + 2 * k));
  const data = Buffer.alloc(6 * frames);
  for (let n = 0; n < frames; n += 1) data.writeUIntLE(n, 6 * n, 3);
  const rest = Buffer.concat([Buffer.from("WAVE"), chunk("LIST", Buffer.from("odd")), chunk("fmt ", format), chunk("data", data)]);
  return bufferOf(chunk("RIFF", rest));
}

test("a piece of a WAV file is a WAV file of the same kind with those frames", () => {
  const cuts = cutter(wav(1_000));
  assert.deepEqual([cuts.rateHz, cuts.frames], [44_100, 1_000]);
  const { bytes, first } = cuts.cut(300, 310);
  const again = cutter(bytes);
  assert.deepEqual([first, again.rateHz, again.frames], [300, 44_100, 10]);
  const view = Buffer.from(bytes);
  assert.deepEqual([view.readUInt32LE(4), view.readUIntLE(44, 3), view.readUIntLE(44 + 54, 3)], [view.length - 8, 300, 309]);
});

test("a piece of a FLAC file begins with the frame that holds its first sample", () => {
  const cuts = cutter(bufferOf(FLAC));
  assert.ok(cuts.rateHz >= 44_100 && cuts.frames > cuts.rateHz);
  const most = FLAC.readUInt16BE(10);
  for (const from of [0, 1, most - 1, most, Math.floor(cuts.frames / 3), cuts.frames - 1]) {
    const { bytes, first } = cuts.cut(from, Math.min(from + most, cuts.frames));
    assert.ok(first <= from && from < first + most, `${from}: ${first}`);
    assert.equal(first % most, 0, "frames of one size");
    const sync = Buffer.from(bytes).readUInt16BE(42);
    assert.equal(sync & 0xfffe, 0xfff8, "right behind the head");
    assert.ok(bytes.byteLength < 42 + 3 * 8 * most, "and not much more than those");
  }
});

test("what is neither is not cut, and damaged files neither throw while they are opened nor go on for ever", () => {
  assert.equal(cutter(bufferOf(Buffer.from("OggS".padEnd(100, "x")))), null);
  assert.equal(cutter(new ArrayBuffer(3)), null);
  const files = [Buffer.from(wav(100)), FLAC.subarray(0, 50_000)];
  for (const file of files) {
    for (let k = 0; k < 400; k += 1) {
      const hurt = Buffer.from(file.subarray(0, k % 7 ? file.length : 44 + (k % 60)));
      hurt[(k * 37) % Math.min(hurt.length, 90)] ^= 1 << (k % 8);
      const cuts = cutter(bufferOf(hurt));
      if (cuts) assert.ok(cuts.frames >= 0 && cuts.rateHz > 0);
    }
  }
});
