// Pieces of Opus and Vorbis in Ogg (RFC 3533, RFC 7845, Vorbis I appendix A). Fetched with what cuts.
//
// A page says how many samples have ended with it. A piece is the head's pages and some of the others, which count from its
// own beginning. It begins early, since a packet is decoded by what the ones before it left behind.

/** @typedef {import("./types").Cutter} Cutter */
/** Octets from `at` to `end`; `count` samples have ended with it, NaN where no packet ends.
 * @typedef {{ at: number, end: number, count: number, flags: number, packets: number }} Page */

const GOES_ON = 1;
const LAST = 4;
/** At 48 kHz: RFC 7845, 4.6. */
const OPUS_EARLY = 3_840;
/** The longest block that there is. */
const VORBIS_EARLY = 8_192;

/** @param {ArrayBuffer} file @returns {Cutter | null} null for more than one stream as well */
export function ogg(file) {
  const view = new DataView(file);
  const pages = pagesOf(view);
  if (!pages) return null;
  const head = headOf(view, pages);
  if (!head) return null;
  const { rateHz, skip, early, body } = head;
  const end = pages[pages.length - 1].count;
  const frames = end - skip;
  if (body >= pages.length || !(frames > 0)) return null;
  /** What had ended before a page. @param {number} k */
  const before = (k) => (k <= body ? 0 : pages[k - 1].count);

  return {
    rateHz,
    frames,
    cut(first, last) {
      let from = body;
      for (let k = body; k < pages.length && before(k) <= first + skip - early; k += 1) {
        if (!(pages[k].flags & GOES_ON) && before(k) === before(k)) from = k;
      }
      let to = from;
      while (to + 1 < pages.length && !(pages[to].count >= last + skip)) to += 1;
      const taken = [...pages.slice(0, body), ...pages.slice(from, to + 1)];
      const bytes = piece(file, taken, body, before(from));
      if (head.isOpus) return { bytes, first: before(from) - skip };
      return { bytes, last: pages[to].count - skip };
    },
  };
}

/** All of them, one after the other; null for what is broken or of several streams. @param {DataView} view
 * @returns {Page[] | null} */
function pagesOf(view) {
  /** @type {Page[]} */
  const pages = [];
  for (let at = 0; at + 27 <= view.byteLength;) {
    const lines = view.getUint8(at + 26);
    let [end, packets] = [at + 27 + lines, 0];
    if (view.getUint32(at) !== 0x4f676753 || view.getUint32(at + 14) !== view.getUint32(14) || end > view.byteLength) return null;
    for (let k = at + 27; k < at + 27 + lines; k += 1) {
      end += view.getUint8(k);
      packets += view.getUint8(k) < 255 ? 1 : 0;
    }
    // A file that was cut off ends with its last whole page.
    if (end > view.byteLength) break;
    const [low, high] = [view.getUint32(at + 6, true), view.getUint32(at + 10, true)];
    const count = high >>> 31 ? NaN : high * 2 ** 32 + low;
    pages.push({ at, end, count, packets, flags: view.getUint8(at + 5) });
    at = end;
  }
  while (pages.length && pages[pages.length - 1].count !== pages[pages.length - 1].count) pages.pop();
  return pages.length ? pages : null;
}

/** What its first packet says; `body` is the first page of sound, which begins one. @param {DataView} view @param {Page[]} pages */
function headOf(view, pages) {
  const at = pages[0].at + 27 + view.getUint8(26);
  if (at + 19 > pages[0].end) return null;
  const isOpus = view.getUint32(at) === 0x4f707573 && view.getUint32(at + 4) === 0x48656164;
  const isVorbis = view.getUint32(at) === 0x01766f72 && view.getUint32(at + 4) >>> 8 === 0x626973;
  if (!isOpus && !isVorbis) return null;
  let [body, packets] = [0, 0];
  while (body < pages.length && packets < (isOpus ? 2 : 3)) packets += pages[body++].packets;
  if (isOpus) return { isOpus, body, rateHz: 48_000, skip: view.getUint16(at + 10, true), early: OPUS_EARLY };
  return { isOpus, body, rateHz: view.getUint32(at + 12, true), skip: 0, early: VORBIS_EARLY };
}

/** @param {ArrayBuffer} file @param {Page[]} pages @param {number} body @param {number} base */
function piece(file, pages, body, base) {
  const whole = new Uint8Array(pages.reduce((sum, { at, end }) => sum + end - at, 0));
  const view = new DataView(whole.buffer);
  let to = 0;
  pages.forEach(({ at, end, count, flags }, k) => {
    whole.set(new Uint8Array(file, at, end - at), to);
    const counted = k < body ? 0 : count - base;
    if (counted === counted) {
      view.setUint32(to + 6, counted % 2 ** 32, true);
      view.setUint32(to + 10, Math.floor(counted / 2 ** 32), true);
    }
    // The end is the whole's, and no count of it is cut.
    view.setUint8(to + 5, k === pages.length - 1 ? flags | LAST : flags & ~LAST);
    view.setUint32(to + 18, k, true);
    // Of Opus nothing is left out at the beginning: the piece says where it begins.
    if (k === 0 && view.getUint32(to + 27 + view.getUint8(to + 26)) === 0x4f707573) view.setUint16(to + 37 + view.getUint8(to + 26), 0);
    view.setUint32(to + 22, 0);
    view.setUint32(to + 22, sum(whole.subarray(to, to + end - at)), true);
    to += end - at;
  });
  return whole.buffer;
}

const SUMS = Uint32Array.from({ length: 256 }, (_, octet) => {
  let sum = octet << 24;
  for (let bit = 0; bit < 8; bit += 1) sum = (sum << 1) ^ (sum < 0 ? 0x04c11db7 : 0);
  return sum >>> 0;
});

/** @param {Uint8Array} octets */
function sum(octets) {
  let sum = 0;
  for (let k = 0; k < octets.length; k += 1) sum = (sum << 8) ^ SUMS[(sum >>> 24) ^ octets[k]];
  return sum >>> 0;
}
