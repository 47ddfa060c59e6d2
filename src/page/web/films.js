// Films in step: pictures are where the same track's sound would be on the audio clock, as the core has laid it.
//
// A film hangs by its rate: a little faster or slower until its frames change at their times. One that is off by more
// than a frame is set to its place anew, as far ahead as the browser has taken for that before.

/** @typedef {{ atS: number, position: number, rate: number }} Leg from an audio time on */
/** @typedef {{ id: number, legs: Leg[], looped: boolean, endS: number }} Part */
/**
 * @typedef {HTMLVideoElement & { preservesPitch?: boolean, requestVideoFrameCallback?: (act: (now: number,
 *   frame: { mediaTime: number, expectedDisplayTime: number }) => void) => number }} Screen
 */
/** @typedef {{ video: Screen, url: string, parts: Part[], offS: number, count: number, frameS: number, lastS: number,
 *   setAtMs: number, leadS: number, source: AudioNode | null }} Film */

/** Until the film has shown how long its frames are. */
const FRAME_S = 1 / 25;
/** A film that is off by less than a frame is there in so long. */
const CORRECT_IN_S = 1;
const RATE_MAX = 0.05;
/** What a browser takes to set a film to a place, before it has shown it. */
const LEAD_S = 0.15;
/** One look errs by a frame's share; so many are believed. */
const LOOKS = 6;
/** A film that was just set is let run before it is judged. */
const SETTLE_MS = 400;
/** Changes of rate that are kept: the last counts, and those that were laid ahead. */
const LEGS_MAX = 16;
/** So long before its time a film is laid ready. */
const READY_S = 2;

/**
 * @param {object} world
 * @param {Document} world.document
 * @param {() => number} world.nowMs
 * @param {(atMs: number) => number} world.heardS the audio time that is heard at a page time
 * @param {(act: () => void) => void} world.nextFrame
 * @returns {import("./types").Films}
 */
export function createFilms({ document, nowMs, heardS, nextFrame }) {
  /** @type {Map<string, Film>} */
  const films = new Map();
  const wall = document.createElement("div");
  wall.id = "films";
  document.body.prepend(wall);
  let isRunning = false;

  /** @param {string} track @param {Blob} blob @returns {Promise<number>} its length in seconds */
  function load(track, blob) {
    forget(track);
    const video = /** @type {Screen} */ (document.createElement("video"));
    const url = URL.createObjectURL(blob);
    Object.assign(video, { src: url, preload: "auto", playsInline: true, preservesPitch: false, hidden: true });
    video.setAttribute("playsinline", "");
    /** @type {Film} */
    const film = { video, url, parts: [], offS: 0, count: 0, frameS: FRAME_S, lastS: NaN, setAtMs: -1e9, leadS: LEAD_S, source: null };
    films.set(track, film);
    wall.append(video);
    watch(film);
    return new Promise((ready, broken) => {
      video.oncanplaythrough = () => {
        video.oncanplaythrough = null;
        ready(video.duration);
      };
      video.onerror = () => broken(new Error("the browser cannot show this film"));
      video.load();
    });
  }

  /** @param {string} track */
  function forget(track) {
    const film = films.get(track);
    if (!film) return;
    films.delete(track);
    film.parts = [];
    film.video.onerror = null;
    film.video.pause();
    film.video.remove();
    URL.revokeObjectURL(film.url);
  }

  /** Looks at each frame as it is shown. @param {Film} film */
  function watch(film) {
    const { video } = film;
    if (!video.requestVideoFrameCallback) return;
    const look = (/** @type {number} */ _, /** @type {{ mediaTime: number, expectedDisplayTime: number }} */ frame) => {
      const stepS = frame.mediaTime - film.lastS;
      if (stepS > 0.001 && stepS < 0.2) film.frameS += 0.2 * (stepS - film.frameS);
      film.lastS = frame.mediaTime;
      // It begins to be seen then, and so it is to begin then.
      judge(film, frame.mediaTime, frame.expectedDisplayTime);
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }

  /** The part that counts at an audio time. @param {Film} film @param {number} atS */
  function current(film, atS) {
    return [...film.parts].reverse().find((part) => part.legs[0].atS <= atS && atS < part.endS);
  }

  /** Where in the film it is at an audio time. @param {Film} film @param {Part} part @param {number} atS */
  function place(film, part, atS) {
    const leg = [...part.legs].reverse().find((it) => it.atS <= atS) || part.legs[0];
    const position = leg.position + (atS - leg.atS) * leg.rate;
    return part.looped ? position % film.video.duration : position;
  }

  /** It shows `position` at a page time: is that right? @param {Film} film @param {number} position @param {number} atMs */
  function judge(film, position, atMs) {
    const { video } = film;
    const atS = heardS(atMs);
    const part = current(film, atS);
    if (!part || video.paused || video.seeking || nowMs() < film.setAtMs + SETTLE_MS) return;
    let offS = position - place(film, part, atS);
    // Over the end of a loop the short way round counts.
    if (part.looped) offS -= Math.round(offS / video.duration) * video.duration;
    film.count += 1;
    film.offS += (offS - film.offS) / Math.min(film.count, LOOKS);
    if (film.count < LOOKS) return;
    if (Math.abs(film.offS) > film.frameS) {
      film.leadS = Math.max(0, Math.min(1, film.leadS - film.offS));
      return set(film, part);
    }
    const wanted = part.legs[part.legs.length - 1].rate;
    const correction = Math.max(-RATE_MAX, Math.min(RATE_MAX, -film.offS / CORRECT_IN_S));
    // A quarter of a frame is nothing that anybody sees.
    const rate = Math.abs(film.offS) < film.frameS / 4 ? wanted : wanted + correction;
    if (Math.abs(video.playbackRate - rate) > 0.001) video.playbackRate = rate;
  }

  /** @param {Film} film @param {Part} part */
  function set(film, part) {
    const { video } = film;
    const goal = place(film, part, heardS(nowMs()) + (video.paused ? 0 : film.leadS));
    video.currentTime = Math.min(goal, video.duration);
    video.playbackRate = part.legs[part.legs.length - 1].rate;
    [film.setAtMs, film.offS, film.count] = [nowMs(), 0, 0];
  }

  function frame() {
    isRunning = false;
    films.forEach(turn);
    if ([...films.values()].some(({ parts }) => parts.length > 0)) run();
  }

  function run() {
    if (isRunning) return;
    isRunning = true;
    nextFrame(frame);
  }

  /** @param {Film} film */
  function turn(film) {
    const { video } = film;
    const atS = heardS(nowMs());
    film.parts = film.parts.filter((part) => atS < part.endS && (part.looped || place(film, part, atS) < video.duration));
    const part = current(film, atS);
    const coming = film.parts.find(({ legs }) => legs[0].atS > atS && legs[0].atS < atS + READY_S);
    video.hidden = !part;
    if (part && video.paused) {
      set(film, part);
      Promise.resolve(video.play()).catch(() => {});
    } else if (part && !video.requestVideoFrameCallback) {
      judge(film, video.currentTime, nowMs());
    } else if (!part && !video.paused) {
      video.pause();
    } else if (!part && coming && Math.abs(video.currentTime - coming.legs[0].position) > film.frameS && !video.seeking) {
      video.currentTime = coming.legs[0].position;
    }
  }

  /** @param {number} segment */
  function partOf(segment) {
    return [...films.values()].flatMap(({ parts }) => parts).find(({ id }) => id === segment);
  }

  return {
    load,
    forget,
    has: (track) => films.has(track),
    owns: (segment) => partOf(segment) !== undefined,
    begin(act, hear) {
      const film = films.get(act.track_id);
      if (!film) return;
      film.source = hear(film.video, film.source);
      const leg = { atS: act.at_s, position: act.offset_s, rate: act.rate };
      film.parts.push({ id: act.segment, legs: [leg], looped: act.looped, endS: Infinity });
      run();
    },
    rate(act) {
      const part = partOf(act.segment);
      const film = [...films.values()].find(({ parts }) => part && parts.includes(part));
      if (!part || !film) return;
      part.legs.push({ atS: act.at_s, position: place(film, part, act.at_s), rate: act.rate });
      if (part.legs.length > LEGS_MAX) part.legs.shift();
    },
    end(act) {
      const part = partOf(act.segment);
      if (part) part.endS = Math.min(part.endS, act.at_s + act.fall_s);
    },
  };
}
