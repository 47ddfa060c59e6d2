// Tracks too long to be held decoded: their bytes stay as they came, and pieces of them are decoded as play comes near.
// Fetched when the first such track comes.
//
// A piece lies on the audio clock where the core's rates have brought the track by then, is laid as soon as the one before it
// begins, and laid anew when the rate changes. It begins under a short cross-fade with the end of the one before, which
// holds the same samples there, so that the fraction of a sample by which they differ is not to be heard. Where a loop
// closes there is nothing beyond the end: there one ends in the very frame in which the other begins.

import { cutter } from "./cuts.js";

/** @typedef {import("./types").Begin} Begin */
/** @typedef {{ cutter: import("./types").Cutter, lengthS: number, first: Window }} Reel */
/** Decoded: from one place of the track to another, `leadS` into the buffer. @typedef {{ buffer: AudioBuffer, leadS: number,
 *   fromS: number, untilS: number }} Window */
/** One that is laid: `passS` is the place of its pass along the whole, all loops unrolled.
 * @typedef {Window & { passS: number, source: AudioBufferSourceNode, gain: GainNode, atS: number, joins: boolean }} Piece */
/** @typedef {{ id: number, track: string, reel: Reel, looped: boolean, out: AudioNode, legs: { atS: number, placeS: number,
 *   rate: number }[], pieces: Piece[], endS: number, over: () => void, isDecoding: boolean }} Segment */

/** A shorter track is decoded whole. */
const LONG_S = 300;
/** At a time: 4 MB a channel and piece. */
const PIECE_S = 10;
/** After a seek somebody waits for it. */
const FIRST_S = 2;
/** Beyond both ends, for the browser's resampler and for the join. */
const MARGIN_S = 0.05;
const JOIN_S = 0.005;
/** From our word to the sound thread. */
const SOON_S = 0.02;

/** @returns {import("./types").Reels} */
export function createReels() {
  /** @type {Map<string, Reel>} */
  const reels = new Map();
  /** @type {Map<number, Segment>} */
  const segments = new Map();

  /** @param {BaseAudioContext} host @param {string} track @param {ArrayBuffer} bytes */
  async function load(host, track, bytes) {
    const cuts = cutter(bytes);
    if (!cuts || cuts.frames / cuts.rateHz < LONG_S) return null;
    const lengthS = cuts.frames / cuts.rateHz;
    try {
      // Most plays begin at the beginning: that is there.
      const first = await decode(host, cuts, 0, PIECE_S);
      reels.set(track, { cutter: cuts, lengthS, first });
      return lengthS;
    } catch (_) {
      // A browser that takes the whole and not a piece.
      return null;
    }
  }

  /** @param {AudioContext} host @param {Begin} act @param {AudioNode} out @param {() => void} over */
  function begin(host, act, out, over) {
    const reel = reels.get(act.track_id);
    if (!reel) return over();
    /** @type {Segment} */
    const segment = {
      id: act.segment, track: act.track_id, reel, looped: act.looped, out, over, pieces: [], endS: Infinity, isDecoding: false,
      legs: [{ atS: act.at_s, placeS: act.offset_s, rate: act.rate }],
    };
    segments.set(act.segment, segment);
    go(host, segment);
  }

  /** Lays what comes next until the one after the one that sounds is laid. @param {AudioContext} host @param {Segment} segment */
  async function go(host, segment) {
    if (segment.isDecoding) return;
    segment.isDecoding = true;
    try {
      while (isOn(segment) && segment.pieces.length < 2) {
        const fromS = nextPlace(host, segment);
        if (!segment.looped && fromS >= segment.reel.lengthS) break;
        const window = await windowAt(host, segment, fromS);
        if (isOn(segment)) lay(host, segment, { ...window, passS: fromS - window.fromS });
      }
    } catch (_) {
      // What was decodable is no more: it ends where it is.
    }
    segment.isDecoding = false;
    if (segment.pieces.length === 0) finish(segment);
  }

  /** @param {Segment} segment */
  function isOn(segment) {
    return segments.get(segment.id) === segment && segment.endS === Infinity;
  }

  /** Where the next piece begins, all loops unrolled. @param {AudioContext} host @param {Segment} segment */
  function nextPlace(host, segment) {
    const last = segment.pieces[segment.pieces.length - 1];
    if (last) return last.passS + last.untilS;
    return placeAt(segment, Math.max(segment.legs[0].atS, host.currentTime + SOON_S));
  }

  /** @param {AudioContext} host @param {Segment} segment @param {number} fromS @returns {Promise<Window>} */
  async function windowAt(host, { reel, looped, pieces }, fromS) {
    const restS = looped ? fromS % reel.lengthS : fromS;
    // A hair before the end is the beginning.
    const inPassS = reel.lengthS - restS < 1e-6 ? 0 : restS;
    if (inPassS < PIECE_S / 2) return { ...reel.first, fromS: inPassS, leadS: reel.first.leadS + inPassS };
    return decode(host, reel.cutter, inPassS, pieces.length ? PIECE_S : FIRST_S);
  }

  /** @param {AudioContext} host @param {Segment} segment @param {Window & { passS: number }} window */
  function lay(host, segment, window) {
    const before = segment.pieces[segment.pieces.length - 1];
    const beginsS = timeOf(segment, window.passS + window.fromS);
    const atS = Math.max(beginsS, host.currentTime + SOON_S / 4);
    const intoS = placeAt(segment, atS) - window.passS - window.fromS;
    const source = host.createBufferSource();
    const gain = host.createGain();
    // Where a loop closes there is nothing to fade with.
    const joins = before !== undefined && window.fromS > 0;
    const piece = { ...window, source, gain, atS, joins };
    source.buffer = window.buffer;
    rateFrom(segment, source, atS);
    source.connect(gain);
    gain.connect(segment.out);
    if (joins || atS > beginsS) {
      gain.gain.setValueAtTime(0, atS);
      gain.gain.linearRampToValueAtTime(1, atS + JOIN_S);
    }
    source.start(atS, window.leadS + intoS);
    source.onended = () => ended(host, segment, piece);
    if (before) leave(before, atS, joins);
    segment.pieces.push(piece);
    if (!segment.looped && window.untilS >= segment.reel.lengthS) source.stop(timeOf(segment, segment.reel.lengthS));
  }

  /** @param {Piece} piece @param {number} atS @param {boolean} fades */
  function leave({ source, gain }, atS, fades) {
    if (!fades) return source.stop(atS);
    gain.gain.setValueAtTime(1, atS);
    gain.gain.linearRampToValueAtTime(0, atS + JOIN_S);
    source.stop(atS + JOIN_S);
  }

  /** @param {AudioContext} host @param {Segment} segment @param {Piece} piece */
  function ended(host, segment, piece) {
    drop(piece);
    segment.pieces = segment.pieces.filter((it) => it !== piece);
    if (isOn(segment)) go(host, segment);
    else if (segment.pieces.length === 0) finish(segment);
  }

  /** @param {Piece} piece */
  function drop({ source, gain }) {
    source.onended = null;
    source.disconnect();
    gain.disconnect();
  }

  /** @param {Segment} segment */
  function finish(segment) {
    if (segments.get(segment.id) !== segment) return;
    segments.delete(segment.id);
    segment.over();
  }

  /** @param {AudioContext} host @param {import("./types").Rate} act */
  function rate(host, act) {
    const segment = segments.get(act.segment);
    if (!segment) return;
    segment.legs.push({ atS: act.at_s, placeS: placeAt(segment, act.at_s), rate: act.rate });
    if (segment.legs.length > LEGS_MAX) segment.legs.shift();
    const laid = segment.pieces;
    const waits = laid.length === 2 && laid[1].atS > Math.max(act.at_s, host.currentTime + SOON_S) ? laid.pop() : undefined;
    laid.forEach(({ source }) => source.playbackRate.setValueAtTime(act.rate, Math.max(act.at_s, host.currentTime)));
    if (!waits) return;
    waits.source.onended = null;
    waits.source.stop();
    drop(waits);
    laid[0].gain.gain.cancelScheduledValues(waits.atS);
    lay(host, segment, waits);
  }

  /** @param {AudioContext} host @param {import("./types").End} act */
  function end(host, act) {
    const segment = segments.get(act.segment);
    if (!segment) return;
    segment.endS = Math.max(act.at_s, host.currentTime) + act.fall_s;
    segment.pieces.forEach(({ source }) => source.stop(segment.endS));
    if (segment.pieces.length === 0) finish(segment);
  }

  return {
    load, begin, rate, end, has: (track) => reels.has(track), owns: (id) => segments.has(id), forget: (track) => { reels.delete(track); },
  };
}

/** Changes of rate that are kept: those that a piece still to be laid may begin before. */
const LEGS_MAX = 128;

/** @param {BaseAudioContext} host @param {import("./types").Cutter} cuts @param {number} fromS @param {number} lengthS
 * @returns {Promise<Window>} */
async function decode(host, { rateHz, frames, cut }, fromS, lengthS) {
  const untilS = Math.min(fromS + lengthS, frames / rateHz);
  const first = Math.max(0, Math.floor((fromS - MARGIN_S) * rateHz));
  const last = Math.min(frames, Math.ceil((untilS + MARGIN_S) * rateHz));
  const piece = cut(first, last);
  /** @type {AudioBuffer} */
  const buffer = await new Promise((ready, broken) => {
    // Safari 14 knows only the form with callbacks.
    const promise = host.decodeAudioData(piece.bytes, ready, broken);
    if (promise) promise.catch(broken);
  });
  const beginsS = "first" in piece ? piece.first / rateHz : piece.last / rateHz - buffer.duration;
  return { buffer, leadS: fromS - beginsS, fromS, untilS };
}

/** Where it is at an audio time. @param {Segment} segment @param {number} atS */
function placeAt({ legs }, atS) {
  const leg = legs.filter((it) => it.atS <= atS).pop() || legs[0];
  return leg.placeS + (atS - leg.atS) * leg.rate;
}

/** When it is at a place. @param {Segment} segment @param {number} placeS */
function timeOf({ legs }, placeS) {
  const leg = legs.filter((it) => it.placeS <= placeS).pop() || legs[0];
  return leg.atS + (placeS - leg.placeS) / leg.rate;
}

/** The rate at a time, and those laid after it. @param {Segment} segment @param {AudioBufferSourceNode} source @param {number} atS */
function rateFrom({ legs }, source, atS) {
  source.playbackRate.value = (legs.filter((it) => it.atS <= atS).pop() || legs[0]).rate;
  legs.filter((it) => it.atS > atS).forEach((it) => source.playbackRate.setValueAtTime(it.rate, it.atS));
}
