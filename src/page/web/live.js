// Live sound, chunk by chunk, as the core places it on the audio clock. Fetched when the first chunk comes.
//
// A chunk is decoded (`opus` by WebCodecs where the browser has it, else by opus.js; `pcm16` here), drawn out to the frames
// of the context between its two times, and sounds from the frame where the one before it ends. Behind each lies its echo,
// the chunk backwards, dying away: it is cut off where the next chunk begins, and heard where that one is late.
//
// What cannot decode is told from what did not come. A whole audience fetches our decoder at the same moment, and some lose
// it: those hear nothing for a second or two, and ask again. A decoder that breaks over a packet is made anew. To ask for
// `pcm16` is to ask for six times as much for the rest of the evening, so that comes last. (It is decided here and not in
// the core because the core comes with the first load, which has no room for it.)

/** @typedef {import("./types").LiveAct} LiveAct */
/** @typedef {import("./types").LiveCodec} LiveCodec */
/** What sounds, or will: `untilS` as the core said it, in frames `begins` and `ends`, the last samples before it.
 * @typedef {{ source: AudioBufferSourceNode, gain: GainNode, untilS: number, ends: number, last: Float32Array[] }} Piece */

const RATE_HZ = 48_000;
const CHANNELS = 2;
const CONFIG = { codec: "opus", sampleRate: RATE_HZ, numberOfChannels: CHANNELS };
/** A curve through four samples looks so many ahead; all sound is that much earlier in return. */
const AHEAD = 2;
const HISTORY = 3;
/** What comes late is not there at once. */
const LATE_RISE_S = 0.005;
/** So much waits for a decoder; what came before it is over by then. */
const WAITING_MAX = 250;
/** So often our decoder is asked for. */
const MISSES_MAX = 5;
/** Until the second time, and then twice as long each time; up to twice that, by chance, so that not all ask at once. */
const AGAIN_MS = 1000;
const AGAIN_MS_MAX = 8000;
/** So many breaks within so long, and it is not one packet's fault. */
const BREAKS_MAX = 3;
const BREAKS_WITHIN_MS = 60_000;

/** @typedef {{ take(act: LiveAct): void, end(): void }} Decoder */

/**
 * @param {object} world
 * @param {() => AudioContext | null} world.context
 * @param {typeof AudioDecoder | undefined} world.AudioDecoder
 * @param {typeof EncodedAudioChunk | undefined} world.EncodedAudioChunk
 * @param {() => Promise<() => Promise<import("./types").Opus>>} world.fetchOpus what makes our own decoders
 * @param {() => number} world.nowMs
 * @param {() => number} [world.chance] from 0 to 1
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @returns {import("./types").LiveSound}
 */
export function createLive({ context, AudioDecoder, EncodedAudioChunk, fetchOpus, nowMs, chance = Math.random, tell }) {
  /** @type {(() => Promise<Decoder>) | null} what makes decoders, once it is there */
  let make = null;
  /** @type {Decoder | null} */
  let decoder = null;
  let isSeeking = false;
  let hasGivenUp = false;
  /** How often in a row it did not come, and when to ask again. */
  let misses = 0;
  let againMs = -Infinity;
  /** @type {number[]} when a decoder broke */
  let breaksMs = [];
  /** @type {LiveAct[]} what came before there was a decoder */
  let waiting = [];
  /** @type {Piece | null} */
  let before = null;
  /** @type {Piece[]} not over yet: the sound of a film comes a second ahead */
  let ordered = [];
  /** @type {GainNode | null} */
  let out = null;

  /** @param {LiveAct} act */
  function perform(act) {
    if (act.codec === "pcm16") return sound(act, samplesOf(octetsOf(act), framesOf(act)));
    // While nobody asks for a decoder, chunks pass as those do that are late.
    if (hasGivenUp || nowMs() < againMs) return;
    waiting.push(act);
    if (waiting.length > WAITING_MAX) waiting.shift();
    if (decoder) pump();
    else if (!isSeeking) seek();
  }

  async function seek() {
    isSeeking = true;
    try {
      make = make || await find();
      decoder = await make().catch(broken);
    } catch (_) {
      missed();
    }
    isSeeking = false;
    pump();
  }

  function pump() {
    try {
      for (let act = decoder && waiting.shift(); act; act = decoder && waiting.shift()) if (decoder) decoder.take(act);
    } catch (_) {
      broken();
    }
  }

  /** The browser's own decoder, which is not to be had everywhere, and not on pages over plain HTTP; else ours. */
  async function find() {
    if (await isLent()) return async () => borrow();
    const open = await fetchOpus();
    return async () => {
      const opus = await open();
      return { take: (/** @type {LiveAct} */ act) => sound(act, opus(octetsOf(act))), end() {} };
    };
  }

  async function isLent() {
    try {
      const { supported } = await /** @type {any} */ (AudioDecoder).isConfigSupported(CONFIG);
      return Boolean(supported);
    } catch (_) {
      return false;
    }
  }

  function borrow() {
    if (!AudioDecoder || !EncodedAudioChunk) throw new Error("it was there a moment ago");
    const Chunk = EncodedAudioChunk;
    /** @type {LiveAct[]} what it has in hand; it gives each back once, in this order */
    const taken = [];
    const lent = new AudioDecoder({
      output: (data) => {
        const act = taken.shift();
        if (act && decoder === ours) sound(act, planesOf(data));
        data.close();
      },
      error: () => { if (decoder === ours) broken(); },
    });
    lent.configure(CONFIG);
    const ours = {
      /** @param {LiveAct} act */
      take(act) {
        taken.push(act);
        lent.decode(new Chunk({ type: "key", timestamp: act.index * 20_000, data: octetsOf(act) }));
      },
      end() { if (lent.state !== "closed") lent.close(); },
    };
    return ours;
  }

  function missed() {
    misses += 1;
    waiting = [];
    if (misses === MISSES_MAX) return giveUp();
    againMs = nowMs() + Math.min(AGAIN_MS_MAX, AGAIN_MS * 2 ** (misses - 1)) * (1 + chance());
  }

  /** What it had in hand is lost; what waits is for the next one. */
  function broken() {
    if (decoder) decoder.end();
    decoder = null;
    const now = nowMs();
    breaksMs = breaksMs.filter((at) => now - at < BREAKS_WITHIN_MS).concat(now);
    if (breaksMs.length === BREAKS_MAX) giveUp();
    return null;
  }

  function giveUp() {
    [hasGivenUp, waiting, make] = [true, [], null];
    tell({ event: "live_undecodable" });
  }

  /** @param {LiveAct} act @param {Float32Array[]} planes */
  function sound(act, planes) {
    const host = context();
    if (!host || host.state !== "running" || !planes.length || !planes[0].length) return;
    if (!out || out.context !== host) {
      out = host.createGain();
      out.connect(host.destination);
      before = null;
    }
    const rate = host.sampleRate;
    const [from, until] = [act.from_s, act.until_s].map((at) => Math.ceil((at - AHEAD / RATE_HZ) * rate));
    const follows = act.rise_s === 0 && before !== null && Math.abs(before.untilS - act.from_s) < 1e-9;
    const history = follows && before ? before.last : planes.map(() => new Float32Array(HISTORY));
    // What is past is left out; a context makes its next block some frames ahead.
    const now = Math.ceil(host.currentTime * rate) + 1;
    const late = Math.max(0, now - from);
    const length = until - from;
    if (late < length) {
      const drawn = planes.map((plane, k) => drawOut(history[k] || history[0], plane, act, from, length, rate));
      const rise = late > 0 ? Math.max(act.rise_s, LATE_RISE_S) : act.rise_s;
      const buffer = host.createBuffer(drawn.length, 2 * length - late, rate);
      drawn.forEach((samples, k) => buffer.getChannelData(k).set(withEcho(samples, late, rise * rate)));
      const piece = play(host, out, buffer, (from + late) / rate);
      if (before) follow(before, from + late, rise, rate, follows && late === 0);
      ordered = ordered.filter((it) => it.ends > now);
      // What was ordered of another stream is heard no more.
      if (!follows) ordered.filter((it) => it.ends > from + late).forEach((it) => follow(it, from + late, rise, rate, false));
      before = { ...piece, untilS: act.until_s, ends: until, last: planes.map((it) => it.slice(-HISTORY)) };
      ordered.push(before);
    }
  }

  return { perform };
}

/** @param {AudioContext} host @param {GainNode} out @param {AudioBuffer} buffer @param {number} at */
function play(host, out, buffer, at) {
  const source = host.createBufferSource();
  const gain = host.createGain();
  source.buffer = buffer;
  source.connect(gain);
  gain.connect(out);
  source.onended = () => { source.disconnect(); gain.disconnect(); };
  source.start(at);
  return { source, gain };
}

/** The echo of the one before ends where this one begins; where this one rises, that one falls. @param {Piece} before
 * @param {number} frame @param {number} riseS @param {number} rate @param {boolean} joins */
function follow({ source, gain }, frame, riseS, rate, joins) {
  const at = frame / rate;
  if (joins || riseS === 0) return source.stop(at);
  gain.gain.setValueAtTime(1, at);
  gain.gain.linearRampToValueAtTime(0, at + riseS);
  source.stop(at + riseS);
}

/** @param {LiveAct} act */
function octetsOf({ data }) {
  return Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
}

/** @param {LiveAct} act */
function framesOf(act) {
  // What it was made of, whatever it is drawn out to: whole milliseconds.
  return Math.round((act.until_s - act.from_s) * 1000) * (RATE_HZ / 1000);
}

/** Signed 16 bits, low octet first, one frame after the other. @param {Uint8Array} octets @param {number} frames */
function samplesOf(octets, frames) {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const channels = Math.max(1, Math.round(octets.length / 2 / frames));
  const length = Math.floor(octets.length / 2 / channels);
  return Array.from({ length: channels }, (_, k) => (
    Float32Array.from({ length }, (__, n) => view.getInt16(2 * (n * channels + k), true) / 32_768)
  ));
}

/** @param {AudioData} data */
function planesOf(data) {
  return Array.from({ length: data.numberOfChannels }, (_, planeIndex) => {
    const plane = new Float32Array(data.numberOfFrames);
    data.copyTo(plane, { planeIndex, format: "f32-planar" });
    return plane;
  });
}

/**
 * A chunk at the frames of the context: curves (Catmull-Rom) through its samples, and the last of those before it.
 * @param {Float32Array} history @param {Float32Array} plane @param {LiveAct} act @param {number} from its first frame
 * @param {number} length @param {number} rate of the context
 */
export function drawOut(history, plane, { from_s, until_s }, from, length, rate) {
  const all = new Float32Array(HISTORY + plane.length + 1);
  all.set(history);
  all.set(plane, HISTORY);
  const step = plane.length / (until_s - from_s) / rate;
  const first = (from / rate + AHEAD / RATE_HZ - from_s) * (plane.length / (until_s - from_s)) - AHEAD + HISTORY;
  return Float32Array.from({ length }, (_, n) => {
    const at = Math.min(all.length - 3, Math.max(1, first + n * step));
    const k = Math.floor(at);
    const [a, b, c, d, x] = [all[k - 1], all[k], all[k + 1], all[k + 2], at - k];
    return b + 0.5 * x * (c - a + x * (2 * a - 5 * b + 4 * c - d + x * (3 * (b - c) + d - a)));
  });
}

/**
 * From its frame `late` on, risen over so many frames; then itself backwards, dying away.
 * @param {Float32Array} samples @param {number} late @param {number} rise
 */
export function withEcho(samples, late, rise) {
  const length = samples.length;
  return Float32Array.from({ length: 2 * length - late }, (_, n) => {
    const at = n + late;
    const level = rise > 0 ? Math.min(1, n / rise) : 1;
    if (at < length) return samples[at] * level;
    return samples[2 * length - 1 - at] * ((2 * length - at) / length) ** 2;
  });
}
