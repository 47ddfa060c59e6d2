// Films on the page, held to the audio clock as `pictures.wasm` says (src/phone/film.rs). Fetched when the first one comes.

/**
 * @typedef {HTMLVideoElement & { preservesPitch?: boolean, requestVideoFrameCallback?: (act: (now: number,
 *   frame: { mediaTime: number, expectedDisplayTime: number }) => void) => number }} Screen
 */
/** @typedef {{ video: Screen, url: string, hold: number, source: AudioNode | null }} Film */

const [SHOWN, SET, BUSY] = [1, 2, 4];

/**
 * @param {object} world
 * @param {Document} world.document
 * @param {import("./types").PicturesDoor} world.door
 * @param {() => number} world.nowMs
 * @param {() => import("./types").AudioLook | null} world.look at the audio clock
 * @param {() => number} world.delayMs so much earlier than the browser's word sound is sent off, and pictures are not
 * @param {(act: () => void) => void} world.nextFrame
 * @returns {import("./types").Films}
 */
export function createFilms({ document, door, nowMs, look, delayMs, nextFrame }) {
  /** @type {Map<string, Film>} */
  const films = new Map();
  /** @type {Map<string, (why: string) => void>} lets go of those that load, which may take long and come to nothing */
  const loading = new Map();
  const wall = document.createElement("div");
  wall.id = "films";
  wall.className = "films";
  document.body.prepend(wall);
  let isRunning = false;

  /** @param {string} track @param {Blob} blob @returns {Promise<number>} its length in seconds */
  function load(track, blob) {
    forget(track);
    const video = /** @type {Screen} */ (document.createElement("video"));
    const url = URL.createObjectURL(blob);
    Object.assign(video, { src: url, preload: "auto", playsInline: true, preservesPitch: false, hidden: true });
    video.setAttribute("playsinline", "");
    wall.append(video);
    return new Promise((ready, broken) => {
      const giveUp = (/** @type {string} */ why) => {
        loading.delete(track);
        release(video, url);
        broken(new Error(why));
      };
      loading.set(track, giveUp);
      video.oncanplaythrough = () => {
        video.oncanplaythrough = video.onerror = null;
        loading.delete(track);
        const film = { video, url, hold: door.film_new(video.duration), source: null };
        films.set(track, film);
        watch(film);
        ready(video.duration);
      };
      video.onerror = () => giveUp("the browser cannot show this film");
      video.load();
    });
  }

  /** @param {string} track */
  function forget(track) {
    const giveUp = loading.get(track);
    if (giveUp) giveUp("nobody wants this film any more");
    const film = films.get(track);
    if (!film) return;
    films.delete(track);
    door.film_drop(film.hold);
    release(film.video, film.url);
  }

  /** A browser holds the file as long as anything names it. @param {Screen} video @param {string} url */
  function release(video, url) {
    video.oncanplaythrough = video.onerror = null;
    video.pause();
    video.remove();
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(url);
  }

  /** The audio time that is heard at a page time. @param {number} atMs */
  function heardS(atMs) {
    const at = look();
    if (!at) return 0;
    const { output, audio_s, latency_s } = at;
    const heard = output ? output.audio_s + (atMs - output.page_ms) / 1000 : audio_s - (latency_s || 0) + (atMs - nowMs()) / 1000;
    return heard - delayMs() / 1000;
  }

  /** Tells each picture as it is seen. @param {Film} film */
  function watch({ video, hold }) {
    if (!video.requestVideoFrameCallback) return;
    const seen = (/** @type {number} */ _, /** @type {{ mediaTime: number, expectedDisplayTime: number }} */ frame) => {
      // It begins to be seen then, and so it is to begin then.
      if (!video.paused && !video.seeking) door.film_seen(hold, heardS(frame.expectedDisplayTime), heardS(nowMs()), frame.mediaTime);
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(seen);
    };
    video.requestVideoFrameCallback(seen);
  }

  function run() {
    if (isRunning) return;
    isRunning = true;
    nextFrame(() => {
      isRunning = false;
      const isBusy = [...films.values()].map(turn).some(Boolean);
      wall.className = [...films.values()].some(({ video }) => !video.hidden) ? "films lit" : "films";
      if (isBusy) run();
    });
  }

  /** Whether there is more to come of it. @param {Film} film */
  function turn({ video, hold }) {
    const nowS = heardS(nowMs());
    if (!video.requestVideoFrameCallback && !video.paused && !video.seeking) door.film_seen(hold, nowS, nowS, video.currentTime);
    const wish = door.film_poll(hold, nowS, video.currentTime, !video.paused, video.seeking);
    const shown = (wish & SHOWN) !== 0;
    if (wish & SET) video.currentTime = door.film_place();
    if (shown && Math.abs(video.playbackRate - door.film_pace()) > 0.001) video.playbackRate = door.film_pace();
    if (shown && video.paused) Promise.resolve(video.play()).catch(() => {});
    if (!shown && !video.paused) video.pause();
    video.hidden = !shown;
    return (wish & BUSY) !== 0;
  }

  return {
    load,
    forget,
    has: (track) => films.has(track),
    owns: (segment) => Boolean(door.film_owns(segment)),
    begin(act, hear) {
      const film = films.get(act.track_id);
      if (!film) return;
      film.source = hear(film.video, film.source);
      door.film_begin(film.hold, act.segment, act.at_s, act.offset_s, act.rate, act.looped);
      run();
    },
    rate: (act) => door.film_rate(act.segment, act.at_s, act.rate),
    end: (act) => door.film_end(act.segment, act.at_s + act.fall_s),
  };
}
