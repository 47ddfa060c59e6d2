// Pieces of long tracks as files of their own. That browsers decode them to the same samples: tests/browser/long.test.js.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { cutter } from "../../src/page/web/cuts.js";

const FLAC = readFileSync(new URL("../../config/demo/audio/sunrise.flac", import.meta.url));
const LAME = readFileSync(new URL("../vectors/media/long.mp3", import.meta.url));
/** Octets of a frame of 64 kbit/s at 24 kHz; the first says how long it all is. */
const FRAME = 192;
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

test("an MP3 is as long as its encoder says, or as its frames are, and what people say of it stands aside", () => {
  const words = Buffer.concat([Buffer.from("ID3\x04\x00\x00\x00\x00\x01\x02", "latin1"), Buffer.alloc(130)]);
  const tail = Buffer.from("TAG".padEnd(128, " "));
  for (const file of [LAME, Buffer.concat([words, LAME, tail])]) {
    const cuts = cutter(bufferOf(file));
    assert.deepEqual([cuts.rateHz, cuts.frames], [24_000, 60_000]);
  }
  const bare = cutter(bufferOf(LAME.subarray(FRAME)));
  assert.equal(bare.frames, (LAME.length / FRAME - 1) * 576);
});

test("a piece of an MP3 begins early enough for all that its first frame takes from those before it", () => {
  const cuts = cutter(bufferOf(LAME));
  for (const from of [0, 576, 20_000, 59_000]) {
    const { bytes, last } = cuts.cut(from, Math.min(from + 1_000, cuts.frames));
    const first = last - (bytes.byteLength / FRAME) * 576;
    assert.equal(Buffer.from(bytes).readUInt16BE(0), 0xfff3, "at a frame");
    assert.equal(bytes.byteLength % FRAME, 0, "whole frames");
    const before = Math.floor((from - first) / 576);
    // 511 octets of what is left of frames of 192 beside their heads; the beginning has nothing before it.
    assert.ok(first <= from && (before >= 5 || first < 0), `${from}: ${before} frames before`);
  }
});

test("of an MP3 whose frames hold next to nothing a piece begins earlier still", () => {
  // 8 kbit/s at 24 kHz: 24 octets, of which 9 are sound.
  const frame = Buffer.from([0xff, 0xf3, 0x14, 0xc4, ...Array(20).fill(0)]);
  const cuts = cutter(bufferOf(Buffer.concat(Array(1_000).fill(frame))));
  const { bytes, last } = cuts.cut(300 * 576, 301 * 576);
  const before = 300 - (last / 576 - bytes.byteLength / frame.length);
  assert.ok(before >= 511 / 9 + 1, `${before} frames before`);
});

const made = (name) => readFileSync(new URL(`../vectors/media/${name}`, import.meta.url));

test("of MP3, Opus and Vorbis the music's length is said, and a piece is whole frames or pages of it, begun early", () => {
  const [mp3, opus, vorbis] = ["click.mp3", "click.opus", "click.ogg"].map((name) => cutter(bufferOf(made(name))));
  for (const cuts of [mp3, opus, vorbis]) {
    assert.deepEqual([cuts.rateHz, cuts.frames], [48_000, 6_001]);
    const { bytes } = cuts.cut(0, 6_001);
    assert.ok(bytes.byteLength > 3_000);
  }
  assert.deepEqual(opus.cut(0, 6_001).first, -312, "what it leaves out at the beginning of the whole");
  assert.ok(mp3.cut(0, 10).last >= 10 && vorbis.cut(0, 10).last >= 10);
});

test("a piece of an Ogg file counts its pages and its samples from its own beginning, under sums that are right", () => {
  const long = bufferOf(made("long.opus"));
  const cuts = cutter(long);
  const { bytes, first } = cuts.cut(cuts.frames - 48_000, cuts.frames);
  assert.ok(first > 0 && first < cuts.frames - 48_000 - 3_000, `${first}`);
  assert.ok(bytes.byteLength < long.byteLength);
  const again = cutter(bytes);
  assert.deepEqual([again.rateHz, again.frames], [48_000, cuts.frames - first]);
  const view = new DataView(bytes);
  for (let [at, k] = [0, 0]; at < bytes.byteLength; k += 1) {
    assert.deepEqual([view.getUint32(at), view.getUint32(at + 18, true)], [0x4f676753, k]);
    const lines = view.getUint8(at + 26);
    const end = at + 27 + lines + new Uint8Array(bytes, at + 27, lines).reduce((sum, it) => sum + it, 0);
    const said = view.getUint32(at + 22, true);
    view.setUint32(at + 22, 0);
    assert.equal(said, checksum(new Uint8Array(bytes, at, end - at)));
    at = end;
  }
});

/** As RFC 3533 says it, bit by bit. */
function checksum(octets) {
  let sum = 0;
  for (const octet of octets) {
    sum ^= octet << 24;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum << 1) ^ (sum < 0 ? 0x04c11db7 : 0);
  }
  return sum >>> 0;
}

test("what is neither is not cut, and damaged files neither throw while they are opened nor go on for ever", () => {
  assert.equal(cutter(bufferOf(Buffer.from("OggS".padEnd(100, "x")))), null);
  assert.equal(cutter(new ArrayBuffer(3)), null);
  const files = [Buffer.from(wav(100)), FLAC.subarray(0, 50_000), made("click.mp3"), made("click.ogg"), made("click.opus")];
  for (const file of files) {
    for (let k = 0; k < 400; k += 1) {
      const hurt = Buffer.from(file.subarray(0, k % 7 ? file.length : 44 + (k % 60)));
      hurt[(k * 37) % Math.min(hurt.length, 90)] ^= 1 << (k % 8);
      const cuts = cutter(bufferOf(hurt));
      if (!cuts) continue;
      assert.ok(cuts.frames >= 0 && cuts.rateHz > 0);
      if (cuts.frames > 10) assert.ok(cuts.cut(1, 9).bytes.byteLength <= file.length + 100);
    }
  }
});
