// Web Audio, as the core asks for it: pieces of tracks, their rates, cross-fades and volumes.
//
// A piece goes source -> its own fade -> its voice's gain -> out. Nothing here looks at a clock but the context's.

/** @typedef {import("./types").AudioLook} AudioLook */
/** `source` is null where others play it. @typedef {{ source: AudioBufferSourceNode | null, fade: GainNode, voice: number }} Piece */

/** A track of fewer octets is never long: samples as they are or nearly, and what is made small by hearing. */
const LONG_BYTES = { plain: 2_000_000, small: 200_000 };
/** Decoded whole, so much is a phone's memory. */
const WARN_MB = 10;

/**
 * @param {object} world
 * @param {(new (options?: AudioContextOptions) => AudioContext) | undefined} world.AudioContext
 * @param {(url: string, signal: AbortSignal) => Promise<ArrayBuffer>} world.load
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @param {(rateHz: number) => Float32Array} world.chirp
 * @param {() => Promise<import("./types").Films>} world.fetchFilms what shows tracks with pictures, once one has come
 * @param {() => Promise<import("./types").Reels>} world.fetchReels what plays long tracks, the same
 * @param {boolean} [world.tellsLatency] whether the context may be asked how late it is
 * @returns {import("./types").Sound}
 */
export function createSound({ AudioContext, load, tell, chirp, fetchFilms, fetchReels, tellsLatency = true }) {
  /** @type {AudioContext | null} */
  let context = null;
  /** @type {import("./types").Films | null} */
  let films = null;
  /** @type {import("./types").Reels | null} */
  let reels = null;
  /** @type {Map<string, Promise<ArrayBuffer>>} fetched, until the first tap gives a context to decode with */
  const fetched = new Map();
  /** @type {Map<string, AbortController>} what ends a track's download */
  const downloads = new Map();
  /** @type {Map<string, AudioBuffer>} */
  const decoded = new Map();
  /** @type {Map<number, Piece>} */
  const pieces = new Map();
  /** @type {Map<number, GainNode>} */
  const voices = new Map();

  async function wake() {
    if (!AudioContext) return false;
    if (!context) {
      context = new AudioContext({ latencyHint: "interactive" });
      // A call, another app or a locked screen: iOS says `interrupted`, others `suspended`.
      context.onstatechange = () => {
        const look = lookAt();
        if (look) tell(look);
      };
      fetched.forEach((_, track) => decode(track));
    }
    await context.resume();
    return context.state === "running";
  }

  /** @param {import("./types").Fetch} act */
  function fetchTrack({ track_id, url }) {
    const bytes = load(url, callOff(track_id).signal).then(equip);
    fetched.set(track_id, bytes);
    bytes.then(() => {
      if (fetched.get(track_id) === bytes) tell({ event: "media_fetched", track_id });
    }).catch(() => failed("media_failed", track_id, bytes));
    if (context) decode(track_id);
  }

  // What plays a film or a long track comes with it, before the tap: one that does not come is no fault of the browser's.
  /** @param {ArrayBuffer} data */
  async function equip(data) {
    if (filmType(new Uint8Array(data))) films = await fetchFilms();
    else if (mayBeLong(data)) reels = await fetchReels();
    return data;
  }

  /** A download that still runs ends, and another may begin. @param {string} track */
  function callOff(track) {
    const old = downloads.get(track);
    if (old) old.abort();
    const next = new AbortController();
    downloads.set(track, next);
    return next;
  }

  /** @param {string} track */
  function decode(track) {
    const bytes = fetched.get(track);
    const host = context;
    if (!bytes || !host) return;
    bytes
      .then((data) => prepare(host, track, data))
      .then((it) => {
        if (fetched.get(track) !== bytes) return;
        fetched.delete(track);
        if (typeof it !== "number") decoded.set(track, it);
        tell({ event: "media_ready", track_id: track, duration_s: typeof it === "number" ? it : it.duration });
      })
      .catch(() => failed("media_undecodable", track, bytes));
  }

  // Safari 14 knows only the form with callbacks.
  /** @param {AudioContext} host @param {ArrayBuffer} data @returns {Promise<AudioBuffer>} */
  function decodeSound(host, data) {
    return new Promise((ready, broken) => {
      const promise = host.decodeAudioData(data, ready, broken);
      if (promise) promise.catch(broken);
    });
  }

  /** Sound, or a film's length. @param {AudioContext} host @param {string} track @param {ArrayBuffer} data
   * @returns {Promise<AudioBuffer | number>} */
  async function prepare(host, track, data) {
    const type = filmType(new Uint8Array(data));
    // Nobody would let go of it.
    if (!fetched.has(track)) throw track;
    if (films && type) return films.load(track, new Blob([data], { type }));
    return (reels && mayBeLong(data) && await reel(host, reels, track, data)) || decodeSound(host, data);
  }

  /** A long track's length; null for one that is decoded whole. @param {AudioContext} host @param {import("./types").Reels} long
   * @param {string} track @param {ArrayBuffer} data */
  async function reel(host, long, track, data) {
    const lengthS = await long.load(host, track, data);
    const mb = Math.round(data.byteLength / 1e6);
    if (lengthS === null && mb > WARN_MB) console.warn(`${track}: ${mb} MB of what cannot be cut are decoded whole, which takes many times as much`);
    return lengthS;
  }

  /** @param {ArrayBuffer} data */
  function mayBeLong(data) {
    const mark = data.byteLength < 4 ? "" : String.fromCharCode(...new Uint8Array(data, 0, 4));
    return data.byteLength > (["RIFF", "fLaC"].includes(mark) ? LONG_BYTES.plain : LONG_BYTES.small);
  }

  // What a film sounds goes the way of its voice.
  /** @param {AudioContext} host @param {number} voice */
  function hearFilm(host, voice) {
    return (/** @type {HTMLMediaElement} */ video, /** @type {AudioNode | null} */ source) => {
      const node = source || host.createMediaElementSource(video);
      node.disconnect();
      node.connect(voiceOf(host, voice));
      return node;
    };
  }

  /** @param {"media_failed" | "media_undecodable"} event @param {string} track @param {Promise<ArrayBuffer>} bytes */
  function failed(event, track, bytes) {
    if (fetched.get(track) !== bytes) return;
    fetched.delete(track);
    tell({ event, track_id: track });
  }

  /** @param {AudioContext} host @param {number} id */
  function voiceOf(host, id) {
    let gain = voices.get(id);
    if (!gain) {
      gain = host.createGain();
      gain.connect(host.destination);
      voices.set(id, gain);
    }
    return gain;
  }

  /** @param {AudioContext} host @param {import("./types").Begin} act */
  function begin(host, act) {
    if (reels && reels.has(act.track_id)) return beginReel(host, reels, act);
    const buffer = decoded.get(act.track_id);
    if (!buffer) return;
    // Told too late, it starts as far into the track as it would be by now.
    const at = Math.max(act.at_s, host.currentTime);
    const offset = act.offset_s + (at - act.at_s) * act.rate;
    if (!act.looped && offset >= buffer.duration) return;
    const source = host.createBufferSource();
    const fade = host.createGain();
    source.buffer = buffer;
    source.loop = act.looped;
    source.playbackRate.value = act.rate;
    if (act.rise_s > 0) line(fade.gain, [[at, 0], [at + act.rise_s, 1]]);
    source.connect(fade);
    fade.connect(voiceOf(host, act.voice));
    source.start(at, offset % buffer.duration);
    pieces.set(act.segment, { source, fade, voice: act.voice });
    source.onended = () => {
      pieces.delete(act.segment);
      source.disconnect();
      fade.disconnect();
      sweep(act.voice);
    };
  }

  /** @param {AudioContext} host @param {import("./types").Reels} long @param {import("./types").Begin} act */
  function beginReel(host, long, act) {
    const fade = host.createGain();
    const at = Math.max(act.at_s, host.currentTime);
    if (act.rise_s > 0) line(fade.gain, [[at, 0], [at + act.rise_s, 1]]);
    fade.connect(voiceOf(host, act.voice));
    pieces.set(act.segment, { source: null, fade, voice: act.voice });
    long.begin(host, act, fade, () => {
      pieces.delete(act.segment);
      fade.disconnect();
      sweep(act.voice);
    });
  }

  // A voice without pieces is over; a piece that replaces another begins before that one ends.
  /** @param {number} voice */
  function sweep(voice) {
    const gain = voices.get(voice);
    if (!gain || [...pieces.values()].some((piece) => piece.voice === voice)) return;
    gain.disconnect();
    voices.delete(voice);
  }

  /** @param {AudioContext} host @param {import("./types").End} act */
  function end(host, act) {
    const piece = pieces.get(act.segment);
    if (!piece) return;
    const at = Math.max(act.at_s, host.currentTime);
    if (act.fall_s > 0) line(piece.fade.gain, [[at, 1], [at + act.fall_s, 0]]);
    if (piece.source) piece.source.stop(at + act.fall_s);
    else if (reels) reels.end(host, act);
  }

  /** Straight lines through points. @param {AudioParam} param @param {[number, number][]} points */
  function line(param, points) {
    const [[at, value], ...rest] = points;
    param.cancelScheduledValues(at);
    param.setValueAtTime(value, at);
    rest.forEach(([then, next]) => param.linearRampToValueAtTime(next, then));
  }

  // It goes the way that music goes, so that what is found out holds for music.
  /** @param {AudioContext} host @param {number} at */
  function sing(host, at) {
    const samples = chirp(host.sampleRate);
    const buffer = host.createBuffer(1, samples.length, host.sampleRate);
    buffer.getChannelData(0).set(samples);
    const source = host.createBufferSource();
    source.buffer = buffer;
    source.connect(host.destination);
    source.start(at);
  }

  /** @param {AudioContext} host @returns {import("./types").OutputStamp | null} */
  function outputStamp(host) {
    if (!tellsLatency || !host.getOutputTimestamp) return null;
    const { contextTime, performanceTime } = host.getOutputTimestamp();
    if (!contextTime || !performanceTime) return null;
    return { audio_s: contextTime, page_ms: performanceTime };
  }

  function lookAt() {
    if (!context) return null;
    const latency = tellsLatency && context.outputLatency;
    return {
      event: /** @type {"audio"} */ ("audio"),
      running: context.state === "running",
      audio_s: context.currentTime,
      latency_s: typeof latency === "number" ? latency : null,
      output: outputStamp(context),
    };
  }

  return {
    wake,
    // Whoever has tapped once need not tap again, where the browser lets us. Where not, the tap is asked for.
    cameBack: () => { if (context && context.state !== "running") context.resume().catch(() => {}); },
    context: () => context,
    perform(act) {
      if (act.act === "fetch") return fetchTrack(act);
      if (act.act === "forget") {
        fetched.delete(act.track_id);
        callOff(act.track_id);
        decoded.delete(act.track_id);
        if (films) films.forget(act.track_id);
        if (reels) reels.forget(act.track_id);
        return;
      }
      if (!context) return;
      if (act.act === "chirp") sing(context, act.at_s);
      else if (act.act === "begin" && films && films.has(act.track_id)) films.begin(act, hearFilm(context, act.voice));
      else if (act.act === "end" && films && films.owns(act.segment)) films.end(act);
      else if (act.act === "rate" && films && films.owns(act.segment)) films.rate(act);
      else if (act.act === "begin") begin(context, act);
      else if (act.act === "end") end(context, act);
      else if (act.act === "gain") line(voiceOf(context, act.voice).gain, act.points);
      else {
        const piece = pieces.get(act.segment);
        if (piece && piece.source) piece.source.playbackRate.setValueAtTime(act.rate, act.at_s);
        else if (piece && reels) reels.rate(context, act);
      }
    },
    look: lookAt,
  };
}

/** What a film is by its first octets, as the box tells films; none for sound. @param {Uint8Array} octets */
export function filmType(octets) {
  const begins = (/** @type {number[]} */ signs, at = 0) => signs.every((sign, k) => octets[at + k] === sign);
  if (begins([0x66, 0x74, 0x79, 0x70], 4)) return "video/mp4";
  return begins([0x1a, 0x45, 0xdf, 0xa3]) ? "video/webm" : "";
}
