// Pieces of long MP3s. A frame's sound is spread over what frames before it have left room for (the bit reservoir), and over
// the frame before it by overlap: a piece begins some frames early, and what those give is not played.
//
// What a browser leaves out at the beginning of a file, and of a piece, is its own affair, so it is measured once, by
// laying a piece over the beginning of the whole.

/** @typedef {import("./types").Cutter} Cutter */
/** @typedef {{ octets: number, samples: number, rateHz: number, side: number }} Frame `side` octets of what is not sound yet */

/** A frame takes from the 511 octets of sound before it at most, and its sound begins in the frame before. */
const RESERVOIR = 511;
const OVERLAP = 2;
/** With its sum. */
const HEAD_OCTETS = 6;
/** No file is an MP3 for one frame's sake. */
const SURE_AFTER = 4;
/** Of a decoder: what it is late by beyond what the encoder was (LAME's own reckoning). */
const DECODER_DELAY = 529;

/** @param {ArrayBuffer} file @returns {Cutter | null} */
export function mp3(file) {
  const octets = new Uint8Array(file);
  const found = framesOf(octets);
  if (!found) return null;
  const { places, head } = found;
  const { samples, rateHz } = head;
  const tag = tagOf(octets, places[0], head);
  const from = tag ? 1 : 0;
  const count = places.length - 1 - from;
  const rest = count * samples;
  const delay = tag && tag.delay !== null ? tag.delay + DECODER_DELAY : 0;
  const padding = tag && tag.padding !== null ? tag.padding - DECODER_DELAY : 0;
  let measured = 0;

  /** The first frame of a piece: sound enough before it for what it takes. @param {number} frame */
  function early(frame) {
    let at = frame - OVERLAP;
    for (let sum = 0; at > 0 && sum < RESERVOIR; at -= 1) sum += places[from + at] - places[from + at - 1] - HEAD_OCTETS - head.side;
    return Math.max(0, at);
  }

  return {
    rateHz,
    frames: rest - delay - Math.max(0, padding),
    cut(first, last) {
      const begin = early(Math.floor((first + delay) / samples));
      // One frame more: its sound ends the one before.
      const end = Math.min(count, Math.ceil((last + delay) / samples) + 1 + OVERLAP);
      return { bytes: file.slice(places[from + begin], places[from + end]), first: begin * samples - delay + measured };
    },
    /** @param {(bytes: ArrayBuffer) => Promise<Float32Array>} decode at the file's own rate, of its first channel */
    async settle(decode) {
      const some = Math.min(count, Math.ceil((HEAD_S * rateHz) / samples));
      const whole = await decode(file.slice(0, places[from + some]));
      const at = loudest(whole, samples);
      const piece = this.cut(at, at + LOOK);
      const sound = await decode(piece.bytes);
      const off = laid(whole.subarray(at, at + LOOK), sound, at - piece.first);
      if (off === null) throw new Error("a piece of it is not what the whole has there");
      measured = -off;
    },
  };
}

/** So much of the beginning is laid under a piece. */
const HEAD_S = 3;
const LOOK = 2_048;
/** A browser that leaves out, or adds, more than so many samples is not understood. */
const OFF_MAX = 4_096;
/** Decoded alike, they are the same up to the last bits. */
const ALIKE = 1e-4;

/** Where a stretch is loudest, for silence lies over itself everywhere. @param {Float32Array} whole @param {number} samples */
function loudest(whole, samples) {
  let [best, most] = [samples, -1];
  for (let at = 12 * samples; at + LOOK < whole.length; at += LOOK / 2) {
    const sum = whole.subarray(at, at + LOOK).reduce((all, it) => all + it * it, 0);
    if (sum > most) [best, most] = [at, sum];
  }
  return best;
}

/** By how much a piece lies elsewhere than at the place that was thought; null where it does nowhere. @param {Float32Array} wanted
 * @param {Float32Array} sound @param {number} place */
function laid(wanted, sound, place) {
  const power = Math.max(...wanted.map(Math.abs));
  const fits = (/** @type {number} */ off) => {
    const begin = place + off;
    if (begin < 0 || begin + LOOK > sound.length) return false;
    for (let n = 0; n < LOOK; n += 1) if (Math.abs(wanted[n] - sound[begin + n]) > ALIKE * power) return false;
    return true;
  };
  if (power === 0) return 0;
  for (let off = 0; off <= OFF_MAX; off += 1) {
    if (fits(off)) return off;
    if (fits(-off)) return -off;
  }
  return null;
}

/** Where every frame begins and the last ends, and what the first says. @param {Uint8Array} octets */
function framesOf(octets) {
  let at = 0;
  // What people say of it stands before it (ID3v2).
  while (at + 10 < octets.length && octets[at] === 0x49 && octets[at + 1] === 0x44 && octets[at + 2] === 0x33) {
    at += 10 + octets.subarray(at + 6, at + 10).reduce((size, it) => size * 128 + (it & 127), 0);
  }
  /** @type {number[]} */
  const places = [];
  /** @type {Frame | null} */
  let head = null;
  while (at + 4 <= octets.length) {
    const frame = frameAt(octets, at);
    // All frames are of a kind; whatever is no frame is the end (ID3v1, or damage: then the rest is not to be cut).
    if (!frame || (head && (frame.samples !== head.samples || frame.rateHz !== head.rateHz)) || at + frame.octets > octets.length) break;
    head = head || frame;
    places.push(at);
    at += frame.octets;
  }
  if (!head || places.length < SURE_AFTER || octets.length - at > TAIL_MAX) return null;
  places.push(at);
  return { places, head };
}

/** What may stand behind the last frame: ID3v1, or APE's tag, or a frame that was cut. */
const TAIL_MAX = 64_000;
const KBITS_1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KBITS_2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const RATES = [44_100, 48_000, 32_000];

/** Layer III of MPEG 1, 2 and 2.5 (ISO/IEC 11172-3, 2.4.2.3). @param {Uint8Array} octets @param {number} at @returns {Frame | null} */
function frameAt(octets, at) {
  if (octets[at] !== 0xff || (octets[at + 1] & 0xe6) !== 0xe2) return null;
  const version = (octets[at + 1] >> 3) & 3;
  const [kbits, rate] = [octets[at + 2] >> 4, (octets[at + 2] >> 2) & 3];
  if (version === 1 || kbits === 0 || kbits === 15 || rate === 3) return null;
  const isFirst = version === 3;
  const rateHz = RATES[rate] / (isFirst ? 1 : version === 2 ? 2 : 4);
  const samples = isFirst ? 1_152 : 576;
  const size = Math.floor(((samples / 8) * (isFirst ? KBITS_1 : KBITS_2)[kbits] * 1000) / rateHz) + ((octets[at + 2] >> 1) & 1);
  const isMono = octets[at + 3] >> 6 === 3;
  const side = isMono ? (isFirst ? 17 : 9) : isFirst ? 32 : 17;
  return { octets: size, samples, rateHz, side };
}

/** What an encoder says of the whole, in a first frame without sound. @param {Uint8Array} octets @param {number} at
 * @param {Frame} head @returns {{ delay: number | null, padding: number | null } | null} */
function tagOf(octets, at, { side }) {
  const word = (/** @type {number} */ place) => String.fromCharCode(...octets.subarray(place, place + 4));
  if (word(at + 36) === "VBRI") return { delay: null, padding: null };
  const tag = at + 4 + side;
  if (!["Xing", "Info"].includes(word(tag))) return null;
  const flags = octets[tag + 7];
  const lame = tag + 8 + (flags & 1 ? 4 : 0) + (flags & 2 ? 4 : 0) + (flags & 4 ? 100 : 0) + (flags & 8 ? 4 : 0);
  const [a, b, c] = octets.subarray(lame + 21, lame + 24);
  if (!["LAME", "Lavf", "Lavc"].includes(word(lame))) return { delay: null, padding: null };
  return { delay: (a << 4) | (b >> 4), padding: ((b & 15) << 8) | c };
}
