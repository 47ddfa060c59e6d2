// Pieces of MP3 (ISO/IEC 11172-3 and 13818-3, layer III). Fetched with what cuts.
//
// A frame is decoded by what the ones before it left behind, so a piece begins some frames early. Encoders say in their
// first frame how many samples at both ends are theirs and not the music's.

/** @typedef {import("./types").Cutter} Cutter */
/** @typedef {{ kind: number, rateHz: number, samples: number, octets: number, side: number }} Frame */

const KBPS_1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const KBPS_2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const RATES_HZ = [44_100, 48_000, 32_000];
/** A frame's bits begin so many octets of sound before it at most, and its sound in the frame before. */
const RESERVOIR = 511;
const EARLY = 2;
/** With its sum. */
const HEAD_OCTETS = 6;
/** Every decoder's own delay, in samples. */
const DECODER = 529;
/** What else may lie before the first frame, and behind the last. */
const AROUND_MAX = 1 << 16;

/** @param {ArrayBuffer} file @returns {Cutter | null} */
export function mp3(file) {
  const octets = new Uint8Array(file);
  let at = first(octets, tagged(octets));
  const head = frame(octets, at);
  if (!head) return null;
  const ends = said(octets, at, head);
  if (ends) at += head.octets;
  /** @type {number[]} where each frame begins, and after them where the last one ends */
  const places = [];
  for (let it = frame(octets, at); it && it.kind === head.kind; it = frame(octets, at)) {
    if (at + it.octets > octets.length) break;
    places.push(at);
    at += it.octets;
  }
  const { rateHz, samples } = head;
  const [delay, padding] = ends || [0, 0];
  const [count, frames] = [places.length, places.length * samples - delay - padding];
  // Behind them stands what people say of it, and no more frames.
  if (frames <= 0 || octets.length - at > AROUND_MAX) return null;
  places.push(at);
  return {
    rateHz,
    frames,
    cut(from, to) {
      let begin = Math.floor((from + delay) / samples) - EARLY;
      for (let need = RESERVOIR; begin > 0 && need > 0; begin -= 1) need -= places[begin] - places[begin - 1] - HEAD_OCTETS - head.side;
      begin = Math.max(0, begin);
      const end = Math.min(count, Math.ceil((to + delay) / samples) + 1);
      return { bytes: file.slice(places[begin], places[end]), last: end * samples - delay };
    },
  };
}

/** Behind what people say of it (ID3, version 2). @param {Uint8Array} octets */
function tagged(octets) {
  let at = 0;
  while (octets[at] === 0x49 && octets[at + 1] === 0x44 && octets[at + 2] === 0x33) {
    const size = octets.subarray(at + 6, at + 10).reduce((sum, it) => sum * 128 + (it & 127), 0);
    at += 10 + size + (octets[at + 5] & 0x10 ? 10 : 0);
  }
  return at;
}

/** The first frame that another of its kind follows. @param {Uint8Array} octets @param {number} from */
function first(octets, from) {
  for (let at = from; at < from + AROUND_MAX; at += 1) {
    const it = frame(octets, at);
    const next = it && frame(octets, at + it.octets);
    if (it && next && next.kind === it.kind) return at;
  }
  return octets.length;
}

/** @param {Uint8Array} octets @param {number} at @returns {Frame | null} */
function frame(octets, at) {
  const [sync, what, how, mode] = octets.subarray(at, at + 4);
  // Layer III, of a known version, a bit rate and a rate.
  if (sync !== 0xff || (what & 0xe6) !== 0xe2 || (what & 0x18) === 8 || mode === undefined) return null;
  const version = (what >> 3) & 3;
  const [rate, bits] = [(how >> 2) & 3, how >> 4];
  if (rate === 3 || bits === 0 || bits === 15) return null;
  const isFirst = version === 3;
  const rateHz = RATES_HZ[rate] >> (isFirst ? 0 : version === 2 ? 1 : 2);
  const samples = isFirst ? 1_152 : 576;
  const kbps = (isFirst ? KBPS_1 : KBPS_2)[bits];
  const isMono = mode >> 6 === 3;
  const side = isFirst ? (isMono ? 17 : 32) : isMono ? 9 : 17;
  return {
    kind: (what & 0x1e) * 4 + rate, rateHz, samples, side,
    octets: Math.floor((samples / 8) * kbps * 1000 / rateHz) + ((how >> 1) & 1),
  };
}

/** How many samples the first one counts at the beginning and at the end that are not the music's; none where it is music
 * itself. @param {Uint8Array} octets @param {number} at @param {Frame} head @returns {[number, number] | null} */
function said(octets, at, { side }) {
  const text = (/** @type {number} */ from, /** @type {number} */ count) => String.fromCharCode(...octets.subarray(from, from + count));
  if (text(at + 36, 4) === "VBRI") return [0, 0];
  const tag = at + 4 + side;
  if (!["Xing", "Info"].includes(text(tag, 4))) return null;
  const holds = octets[tag + 7];
  const encoder = tag + 8 + (holds & 1 ? 4 : 0) + (holds & 2 ? 4 : 0) + (holds & 4 ? 100 : 0) + (holds & 8 ? 4 : 0);
  if (!/^(LAME|Lavf|Lavc)/.test(text(encoder, 4))) return [0, 0];
  const [high, middle, low] = octets.subarray(encoder + 21, encoder + 24);
  const [delay, padding] = [(high << 4) | (middle >> 4), ((middle & 15) << 8) | low];
  return [delay + DECODER, Math.max(0, padding - DECODER)];
}
