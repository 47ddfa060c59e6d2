// A screen's half of `sound.js`: it is silent, so the page's own clock stands for the audio clock, and only films are fetched.

import { filmType } from "/page/sound.js";

/**
 * @param {object} world
 * @param {(url: string, signal: AbortSignal) => Promise<ArrayBuffer>} world.load
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @param {() => number} world.nowMs
 * @param {() => Promise<import("./types").Films>} world.fetchFilms
 * @returns {import("./types").Sound}
 */
export function createSilent({ load, tell, nowMs, fetchFilms }) {
  /** @type {import("./types").Films | null} */
  let films = null;
  /** @type {Map<string, AbortController>} what ends a track's download */
  const coming = new Map();

  /** @param {import("./types").Fetch} act */
  async function fetchFilm({ track_id, url }) {
    callOff(track_id);
    const download = new AbortController();
    coming.set(track_id, download);
    const isWanted = () => coming.get(track_id) === download;
    try {
      const data = await load(url, download.signal);
      const type = filmType(new Uint8Array(data));
      if (!type) throw new Error("it is no film");
      films = await fetchFilms();
      if (!isWanted()) return;
      const duration_s = await films.load(track_id, new Blob([data], { type }));
      tell({ event: "media_ready", track_id, duration_s });
    } catch (_) {
      if (isWanted()) tell({ event: "media_failed", track_id });
    }
  }

  /** @param {string} track */
  function callOff(track) {
    const old = coming.get(track);
    if (old) old.abort();
    coming.delete(track);
  }

  /** Nobody need touch a screen: browsers let run what is muted. @param {HTMLMediaElement} video */
  function mute(video) {
    video.muted = true;
    return null;
  }

  return {
    wake: async () => true,
    cameBack() {},
    context: () => null,
    perform(act) {
      if (act.act === "fetch") return void fetchFilm(act);
      if (act.act === "forget") callOff(act.track_id);
      if (!films) return;
      if (act.act === "forget") films.forget(act.track_id);
      else if (act.act === "begin") films.begin(act, mute);
      else if (act.act === "rate") films.rate(act);
      else if (act.act === "end") films.end(act);
    },
    look: () => ({ event: "audio", running: true, audio_s: nowMs() / 1000, latency_s: null, output: null }),
  };
}
