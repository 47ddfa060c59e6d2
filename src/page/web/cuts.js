// A piece of a long track as a small file of its own, which the browser decodes as it would the whole. Fetched when needed.
//
// WAV is frames in a row behind a head; FLAC's frames say which samples they hold, so that the one with a sample is found by
// halving the file.

import { mp3 } from "./mp3.js";
import { ogg } from "./ogg.js";

/** @typedef {import("./types").Cutter} Cutter */

/** @param {ArrayBuffer} file @returns {Cutter | null} null for what is not to be cut */
export function cutter(file) {
  const view = new DataView(file);
  if (file.byteLength < 44) return null;
  if (view.getUint32(0) === 0x52494646 && view.getUint32(8) === 0x57415645) return wav(file, view);
  if (view.getUint32(0) === 0x664c6143) return flac(file, view);
  if (view.getUint32(0) === 0x4f676753) return ogg(file);
  return mp3(file);
}

/** @param {ArrayBuffer} file @param {DataView} view @returns {Cutter | null} */
function wav(file, view) {
  /** @type {Uint8Array | null} */
  let format = null;
  for (let at = 12; at + 8 <= file.byteLength;) {
    const [name, said] = [view.getUint32(at), view.getUint32(at + 4, true)];
    const size = Math.min(said, file.byteLength - at - 8);
    if (name === 0x666d7420 && size >= 16) format = new Uint8Array(file, at, 8 + size);
    if (name === 0x64617461 && format) return wavOf(file, format, at + 8, size);
    at += 8 + size + (size % 2);
  }
  return null;
}

/** @param {ArrayBuffer} file @param {Uint8Array} format its chunk @param {number} begins @param {number} size
 * @returns {Cutter | null} */
function wavOf(file, format, begins, size) {
  const view = new DataView(format.buffer, format.byteOffset + 8);
  const [rateHz, width] = [view.getUint32(4, true), view.getUint16(12, true)];
  if (!rateHz || !width) return null;
  return {
    rateHz,
    frames: Math.floor(size / width),
    cut(first, last) {
      const data = new Uint8Array(file, begins + first * width, (last - first) * width);
      const piece = new Uint8Array(12 + format.length + 8 + data.length);
      const head = new DataView(piece.buffer);
      head.setUint32(0, 0x52494646);
      head.setUint32(4, piece.length - 8, true);
      head.setUint32(8, 0x57415645);
      piece.set(format, 12);
      head.setUint32(12 + format.length, 0x64617461);
      head.setUint32(16 + format.length, data.length, true);
      piece.set(data, 20 + format.length);
      return { bytes: piece.buffer, first };
    },
  };
}

/** (RFC 9639, 8.) @param {ArrayBuffer} file @param {DataView} view @returns {Cutter | null} */
function flac(file, view) {
  const INFO = 34;
  let at = 4;
  for (let isLast = false; !isLast; at += 4 + (view.getUint32(at) & 0xffffff)) {
    if (at + 8 > file.byteLength) return null;
    isLast = view.getUint8(at) >= 0x80;
  }
  const octets = new Uint8Array(file);
  const begins = at;
  const [least, most] = [view.getUint16(8), view.getUint16(10)];
  const rateHz = view.getUint32(18) >>> 12;
  const frames = (view.getUint8(21) & 15) * 2 ** 32 + view.getUint32(22);
  // Frames of one size are numbered, others say their first sample; a length that is not given is not to be guessed.
  if ((view.getUint8(4) & 127) !== 0 || !rateHz || !frames || begins >= file.byteLength) return null;
  const sampleOf = (/** @type {{ number: number, isFixed: boolean }} */ it) => (it.isFixed ? it.number * most : it.number);

  /** The first frame from an octet on. @param {number} from */
  function next(from) {
    for (let k = from; k + 16 <= octets.length; k += 1) {
      if (octets[k] !== 0xff || (octets[k + 1] & 0xfe) !== 0xf8) continue;
      const head = frameHead(octets, k);
      if (head && sampleOf(head) < frames && (least !== most || head.isFixed)) return { at: k, sample: sampleOf(head) };
    }
    return { at: octets.length, sample: frames };
  }

  /** The frame that holds this sample. @param {number} sample */
  function find(sample) {
    let [low, high] = [next(begins), octets.length];
    while (high - low.at > 2 * SEARCH) {
      const middle = next((low.at + high) >> 1);
      if (middle.at < high && middle.sample <= sample) low = middle;
      else high = (low.at + high) >> 1;
    }
    for (let it = low; it.sample <= sample && it.at < octets.length; it = next(it.at + 1)) low = it;
    return low;
  }

  return {
    rateHz,
    frames,
    cut(first, last) {
      const from = find(first);
      const to = last >= frames ? octets.length : next(find(last - 1).at + 1).at;
      const piece = new Uint8Array(8 + INFO + to - from.at);
      // The mark and what the stream is, as its only block: nobody knows its length or its sum.
      piece.set(octets.subarray(0, 8 + INFO));
      piece[4] = 0x80;
      piece[21] &= 0xf0;
      piece.fill(0, 22, 8 + INFO);
      piece.set(octets.subarray(from.at, to), 8 + INFO);
      return { bytes: piece.buffer, first: from.sample };
    },
  };
}

/** Within so much of the place that is searched, frames are looked at one after the other. */
const SEARCH = 65_536;

/** A frame's number, where its head's sum is right. (RFC 9639, 9.1.) @param {Uint8Array} octets @param {number} at */
function frameHead(octets, at) {
  const [size, rate] = [octets[at + 2] >> 4, octets[at + 2] & 15];
  // As in UTF-8: so many ones, so many octets.
  const coded = Math.clz32(~(octets[at + 4] << 24));
  const more = coded === 0 ? 0 : coded - 1;
  if (size === 0 || rate === 15 || coded === 1 || coded > 7 || octets[at + 3] & 1) return null;
  let number = coded === 0 ? octets[at + 4] : octets[at + 4] & (127 >> coded);
  for (let k = 1; k <= more; k += 1) number = number * 64 + (octets[at + 4 + k] & 63);
  const after = at + 5 + more + (size === 6 ? 1 : size === 7 ? 2 : 0) + (rate === 12 ? 1 : rate > 12 ? 2 : 0);
  let sum = 0;
  for (let k = at; k < after; k += 1) {
    sum ^= octets[k];
    for (let bit = 0; bit < 8; bit += 1) sum = ((sum << 1) ^ (sum & 0x80 ? 7 : 0)) & 0xff;
  }
  return sum === octets[after] ? { number, isFixed: (octets[at + 1] & 1) === 0 } : null;
}
