// Ties the core to the browser: its time, its sockets, its sound, its screen. Decides nothing.

import { beginCore } from "/page/core.js";
import { createLink } from "/page/link.js";
import { createHash, createPreload } from "/page/preload.js";
import { createSound } from "/page/sound.js";
import { createTime } from "/page/time.js";
import { createView } from "/page/view.js";
import { loadWords, wished } from "/page/words.js";

/** @typedef {import("./types").PhoneEvent} PhoneEvent */
/** @typedef {import("./types").Act} Act */
/** @typedef {Window & typeof globalThis & { webkitAudioContext?: typeof AudioContext, downbeat?: object }} Browser */
/** @typedef {Navigator & { audioSession?: { type: string },
 *   getBattery?: () => Promise<import("./battery.js").Battery>, userAgentData?: any }} Device */

const browser = /** @type {Browser} */ (window);
const device = /** @type {Device} */ (navigator);
const role = /** @type {import("./types").Role} */ (document.body.dataset.role);
// Before it is asked for: a name that is not declared yet fails like a browser that keeps nothing.
const TOKEN = "downbeat.token";
const token = takeToken();
const nowMs = () => performance.now();
/** The box that the page is with; whatever is wanted from a box is wanted from this one. */
let box = `${location.origin}/`;
/** @param {string} path */
const at = (path) => new URL(path, box).href;
/** @param {string} path */
const socketAt = (path) => at(path).replace(/^http/, "ws");

/** Fails where it cannot fetch what it needs. @param {ArrayBuffer} bytes core.wasm */
export async function begin(bytes) {
  const words = await loadWords({ fetch: (url) => fetch(url), asked: wished() });
  words.dress(document);
  main(bytes, words).catch(broken);
}

/** @param {ArrayBuffer} bytes @param {import("./types").Words} words */
async function main(bytes, words) {
  const live = await codecs();
  const core = await beginCore(bytes, nowMs(), {
    chance: chance(),
    unix_ms: Date.now(),
    role,
    url: box,
    user_agent: navigator.userAgent,
    hints: await hints(),
    kept: kept(),
    codecs: live,
    listens: window.isSecureContext && Boolean(navigator.mediaDevices),
    token,
  });
  const view = createView(document, words, {
    reload: () => location.reload(),
    lend: () => { fetchTorch().then((it) => it.lend()).catch(broken); },
    nudged: (ms) => tell({ event: "nudged", ms }),
    calibrate: () => {
      fetchMicrophone().then((it) => it.open()).then((ears) => tell({ event: "calibrate", microphone: ears })).catch(broken);
    },
  });
  const time = createTime({ WebTransport: browser.WebTransport, nowMs, tell });
  const link = createLink({ url: () => socketAt("/ws"), WebSocket, openStream: () => time.stream(), nowMs, tell: linked });
  /** @type {import("./types").Peer | null} */
  let peer = null;
  // Nobody waits for it: it comes when the rest is there.
  const fetchPeer = once("peer", ({ createEar, createPeer }) => {
    const ear = createEar({ context: () => sound.context(), createAudio: () => new Audio() });
    const { RTCPeerConnection } = window;
    return createPeer({ url: () => socketAt("/bloom"), WebSocket, RTCPeerConnection, nowMs, tell: overheard, ear });
  });
  const fetchPictures = once("pictures", (it) => it.fetchPictures());
  const fetchScreening = once("screening", async ({ createScreening }) => {
    const { VideoDecoder, EncodedVideoChunk } = window;
    await words.more();
    const excuse = words.say(window.isSecureContext ? "no_pictures" : "no_pictures_plain");
    return createScreening({
      document, door: await fetchPictures(), netMs: (ms) => core.netMs(ms), nowMs, VideoDecoder, EncodedVideoChunk, codecs: live, excuse, tell,
      nextFrame: (act) => { requestAnimationFrame(act); },
    });
  });
  const fetchOpus = once("opus", (it) => it.fetchOpus());
  const fetchLive = once("live", ({ createLive }) => {
    const { AudioDecoder, EncodedAudioChunk } = window;
    return createLive({ context: () => sound.context(), AudioDecoder, EncodedAudioChunk, fetchOpus, nowMs, tell });
  });
  const fetchPrompt = once("performer", async (it) => {
    await words.more();
    it.prompt({ document, words, url: () => at("/prompt"), token, netMs: () => core.netMs(nowMs()) });
  });
  const fetchSeal = once("sealed", async ({ createSeal, createSealLine }) => {
    await words.more();
    const netS = () => core.netMs(nowMs()) / 1000;
    const isSecure = location.protocol === "https:";
    return createSeal({ isSecure, subtle: crypto.subtle, token, netS, tell: opened, say: createSealLine(document, words) });
  });
  const load = createPreload({ fetch: (path, how) => fetch(at(String(path)), how), hash: createHash(crypto.subtle, once("sha256", (it) => it.sha256)) });
  const fetchFilms = once("films", async ({ createFilms }) => {
    return createFilms({
      document, door: await fetchPictures(), nowMs, look: () => sound.look(), delayMs: () => core.look(nowMs()).errors.delay_ms,
      nextFrame: (act) => { requestAnimationFrame(act); },
    });
  });
  /** @type {import("./types").Sound} */
  const sound = role === "screen" ? (await import("/page/silent.js")).createSilent({ load, tell, nowMs, fetchFilms }) : createSound({
    AudioContext: browser.AudioContext || browser.webkitAudioContext,
    load,
    tell,
    chirp: (rateHz) => core.chirp(rateHz),
    fetchReels: once("reels", (it) => it.createReels()),
    fetchFilms,
    // Firefox on PulseAudio, asked while it makes sound, may wait for its sound and its sound for it, for ever.
    tellsLatency: !/X11.*Firefox\//.test(navigator.userAgent),
  });
  const fetchMicrophone = once("microphone", async ({ createMicrophone }) => {
    await words.more();
    return createMicrophone({
      isSecure: window.isSecureContext,
      mediaDevices: navigator.mediaDevices,
      context: () => sound.context(),
      handIn: (rateHz, fromS, samples) => turn((now) => core.recorded(now, rateHz, fromS, samples)),
    });
  });
  const fetchTorch = once("torch", ({ createTorch }) => {
    return createTorch(navigator.mediaDevices, (lamp) => {
      view.tellLamp(lamp);
      tell({ event: "tick" });
    });
  });
  const fetchWake = once("wake", (it) => it.createWake(navigator.wakeLock));
  let isKept = false;
  /** Over plain HTTP there is none, and nothing is fetched. What was lost on its way is fetched when the page is there again, or soon. */
  function wake() {
    if (navigator.wakeLock && isKept) fetchWake().then((it) => it.keep()).catch(() => { setTimeout(wake, AGAIN_MS); });
  }
  advise();
  if (lampMayBe()) view.tellLamp("free");
  let timer = 0;
  let frame = 0;
  let shown = "";
  let isLit = false;
  browser.downbeat = {
    netMs: () => core.netMs(nowMs()), look: () => core.look(nowMs()), channels: () => (peer ? peer.channels() : {}),
    pictures: async () => (await fetchScreening()).counts(),
  };

  // What comes sealed is opened first.
  /** @param {PhoneEvent} event */
  function overheard(event) {
    if (event.event !== "live_heard" || !(token || event.text.startsWith('{"type":"media_sealed"'))) return opened(event);
    if (event.text.startsWith(UNTAKEN)) return opened(event);
    fetchSeal().then((it) => it.hear(event)).catch(() => {});
  }

  // Pictures go by the core, which does not need to know of them: they are large. The codec stands before the data.
  /** @param {PhoneEvent} event */
  function opened(event) {
    if (event.event !== "live_heard" || !IS_PICTURE.test(event.text.slice(0, 1000))) return tell(event);
    const { text } = event;
    fetchScreening().then((it) => it.hear(text)).catch(broken);
  }

  // The page's own box may have been given a newer one while it was away.
  let wasOpen = false;
  let mayBeNewer = false;
  /** @param {PhoneEvent} event */
  function linked(event) {
    if (event.event === "opened" && mayBeNewer && at("/") === new URL("/", location.href).href) isOutdated().then((it) => { if (it) view.tell("update"); }).catch(() => {});
    if (event.event === "opened") [wasOpen, mayBeNewer] = [true, false];
    tell(event);
  }

  /** @param {PhoneEvent} event */
  function tell(event) {
    turn((now) => core.handle(now, event));
  }

  /** @param {(now: number) => import("./types").Turn} ask */
  function turn(ask) {
    try {
      const { acts, wake_ms, look } = ask(nowMs());
      acts.forEach(perform);
      view.show(look);
      light(look.torch);
      plan(wake_ms, look);
    } catch (error) {
      broken(error);
      view.tell("broken");
    }
  }

  /** @param {Act} act */
  function perform(act) {
    switch (act.act) {
      case "open":
        [box, mayBeNewer] = [act.url, wasOpen];
        return link.perform(act);
      case "open_stream": case "close": case "send": case "ask": return link.perform(act);
      case "ask_time": return act.channel === "data_channel" ? peer && peer.ask(act) : time.perform(act);
      case "open_time": case "close_time": return time.perform(act);
      case "open_peer": case "restart_peer": case "close_peer": return performPeer(act);
      case "say_live": return peer && peer.sayLive(act);
      // A chunk that came before the module is late, not lost.
      case "live": return fetchLive().then((live) => live.perform(act)).catch(() => {});
      case "listen": case "deafen": return fetchMicrophone().then((it) => it.perform(act)).catch(() => {});
      case "stock": return stock();
      case "keep": return keep(act.text);
      case "vibrate": return void (device.vibrate && device.vibrate(act.ms));
      default: return sound.perform(act);
    }
  }

  // What does not come now is asked for again when it is wanted.
  function stock() {
    const modules = ["peer", "live", "reels", "films", "screening", "sealed", "torch"].map((name) => import(`/page/${name}.js`));
    Promise.all([...modules, words.more(), fetchPictures(), window.AudioDecoder || fetchOpus()]).catch(() => {});
  }

  // The module is there once the lamp was lent.
  /** @param {boolean} on */
  function light(on) {
    if (on === isLit) return;
    isLit = on;
    fetchTorch().then((it) => it.set(isLit)).catch(() => { isLit = !on; });
  }

  /** @param {import("./types").PeerAct} act */
  async function performPeer(act) {
    try {
      peer = await fetchPeer();
      peer.perform(act);
    } catch (_) {
      // It could not be fetched: the core comes back to it.
      tell({ event: "peer_link", link: "closed" });
    }
  }

  // The core is woken when it asks; while colours move, each frame is a turn, and each new look is one, too.
  /** @param {number} wakeMs @param {import("./types").Look} look */
  function plan(wakeMs, look) {
    const now = `${look.color} ${look.text}`;
    const moves = look.still_until_ms !== null && look.still_until_ms <= nowMs() + 1;
    const soonestMs = Math.min(wakeMs, look.still_until_ms === null ? wakeMs : look.still_until_ms);
    if ((moves || now !== shown) && !frame) frame = requestAnimationFrame(painted);
    shown = now;
    clearTimeout(timer);
    timer = setTimeout(woken, Math.max(0, (moves ? wakeMs : soonestMs) - nowMs()));
  }

  function woken() {
    tell(sound.look() || { event: "tick" });
  }

  function painted() {
    frame = 0;
    tell({ event: "painted" });
  }

  // On the door, where it stands as well, it is gone with the tap.
  let isTold = false;
  async function tapped() {
    // An iPhone's silent switch is for ringing, not for a show.
    if (device.audioSession) device.audioSession.type = "playback";
    isKept = true;
    wake();
    fillScreen();
    if (!navigator.wakeLock && !isTold) {
      view.tellDimming(isTold = true);
      setTimeout(() => view.tellDimming(false), TOLD_FOR_MS);
    }
    if (await sound.wake()) tell({ event: "tapped" });
    if (peer) peer.tapped();
  }

  function cameBack() {
    if (document.visibilityState !== "visible") return;
    wake();
    sound.cameBack();
    tell({ event: "woke" });
  }

  // Whoever misses the button has come in, too.
  const door = document.getElementById("door");
  if (door) door.addEventListener("click", () => { tapped().catch(() => {}); });
  document.addEventListener("visibilitychange", cameBack);
  window.addEventListener("pageshow", cameBack);
  window.addEventListener("online", cameBack);
  if (device.getBattery) import("/page/battery.js").then((it) => it.watchBattery(device, (level) => tell({ event: "battery", level }))).catch(() => {});
  isKept = role !== "phone";
  wake();
  if (role === "screen") document.addEventListener("click", fillScreen);
  if (role === "performer") prompt();
  tell({ event: "tick" });

  function prompt() {
    fetchPrompt().catch(() => { setTimeout(prompt, AGAIN_MS); });
  }
}

/** What the page cannot be without did not come: longer than a failure is kept. */
const AGAIN_MS = 1500;
/** Who has not read it by then reads it no more. */
const TOLD_FOR_MS = 60_000;
const IS_PICTURE = /"codec":"(h264|vp9)"/;
const UNTAKEN = '{"type":"media_untaken"';

/** The token in the address's fragment, which no server is told. Over plain HTTP it stays here: anybody could read it. */
function takeToken() {
  const said = new URLSearchParams(location.hash.slice(1)).get("token");
  // Nobody reads it over a shoulder, or sends it on with the address.
  if (said) history.replaceState(null, "", location.pathname + location.search);
  if (location.protocol !== "https:") return undefined;
  try {
    if (said) sessionStorage.setItem(TOKEN, said);
    return said || sessionStorage.getItem(TOKEN) || undefined;
  } catch (_) {
    return said || undefined;
  }
}

/** What `make` makes of a module, once it is wanted, and once. A failure is kept for a second at most: some things are wanted
 * fifty times in one, and by a whole audience at the same moment. Browsers keep for good that a module did not come from an
 * address, so the module is asked for at another; what it imports itself is not. @template {keyof import("./types").Modules} N @template T @param {N} name
 * @param {(module: import("./types").Modules[N]) => T | Promise<T>} make */
function once(name, make) {
  /** @type {Promise<T> | null} */
  let made = null;
  let misses = 0;
  return () => {
    made = made || import(`/page/${name}.js${misses ? `?${misses}` : ""}`).catch((error) => {
      misses += 1;
      throw error;
    }).then(make).catch((error) => {
      setTimeout(() => { made = null; }, 1000 * Math.random());
      throw error;
    });
    return made;
  };
}

const KEPT = "downbeat.sound";

// A page may be without a memory: private windows are.
function kept() {
  try {
    return localStorage.getItem(KEPT) || "";
  } catch (_) {
    return "";
  }
}

/** @param {string} text */
function keep(text) {
  try {
    localStorage.setItem(KEPT, text);
  } catch (_) {
    // It holds for this evening, then.
  }
}

/** What the browser says of the phone when it is asked; most say it unasked, some not at all. */
async function hints() {
  try {
    const { model, platformVersion } = await device.userAgentData.getHighEntropyValues(["model", "platformVersion"]);
    return { model: model || "", platform_version: platformVersion || "" };
  } catch (_) {
    return { model: "", platform_version: "" };
  }
}

/** What the page can show, besides sound, which it always can, unless it is a silent screen. WebCodecs is not to be had
 * everywhere, and not on pages over plain HTTP. @returns {Promise<import("./types").LiveCodec[]>} */
async function codecs() {
  const { VideoDecoder } = window;
  /** @type {[import("./types").LiveCodec, string][]} */
  const all = [["h264", "avc1.42001f"], ["vp9", "vp09.00.10.08"]];
  const looked = await Promise.all(all.map(async ([name, codec]) => {
    try {
      return (await VideoDecoder.isConfigSupported({ codec })).supported ? [name] : [];
    } catch (_) {
      return [];
    }
  }));
  return [...(role === "screen" ? [] : /** @type {import("./types").LiveCodec[]} */ (["opus", "pcm16"])), ...looked.flat()];
}

function chance() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// An installed page opens when the box is away, too. Over plain HTTP there is no such thing.
if (location.protocol === "https:" && navigator.serviceWorker && role === "phone") {
  navigator.serviceWorker.register("/sw.js").catch(() => {});
}

// What this phone cannot do for its holder. An iPhone's silent switch mutes pages, unless they may say what they are.
function advise() {
  const isApple = /iPhone|iPad|iPod/.test(navigator.userAgent);
  const [silent, keepOn] = ["silent", "keep-on"].map((id) => document.getElementById(id));
  if (silent) silent.hidden = !isApple || Boolean(device.audioSession);
  if (keepOn) keepOn.hidden = Boolean(navigator.wakeLock);
}

/** Whether the browser could have a lamp to lend: over TLS, and where cameras have one. */
function lampMayBe() {
  const { mediaDevices } = navigator;
  if (role !== "phone" || !window.isSecureContext || !mediaDevices || !mediaDevices.getSupportedConstraints) return false;
  return Boolean(/** @type {{ torch?: boolean }} */ (mediaDevices.getSupportedConstraints()).torch);
}

// Colour to the edges, where it is a phone in a hand or a projector; whoever leaves it is left alone.
let hasFilled = false;
function fillScreen() {
  const root = document.documentElement;
  const isHeld = window.matchMedia("(pointer: coarse)").matches || role === "screen";
  if (hasFilled || !isHeld || !root.requestFullscreen) return;
  hasFilled = role !== "screen";
  root.requestFullscreen({ navigationUI: "hide" }).catch(() => {});
}

/** Whether the box has another page than this one. */
async function isOutdated() {
  const answer = await fetch("/page/version", { cache: "no-store" });
  const ours = document.querySelector("meta[name=version]");
  return answer.ok && ours !== null && (await answer.text()).trim() !== ours.getAttribute("content");
}

/** @param {unknown} error */
function broken(error) {
  console.error(error);
  // There may be no words to say it in.
  const [news, reload] = ["news", "reload"].map((id) => document.getElementById(id));
  if (news) news.hidden = false;
  if (!reload) return;
  if (!reload.textContent) reload.textContent = "↻";
  reload.onclick = () => location.reload();
}
