// What a person sees: the show's colour and words, a tap to come in, and a line that says how the phone fares.

/** @typedef {import("./types").Look} Look */
/** @typedef {import("./types").Words} Words */
/** @typedef {import("./types").State} State */

const WAITING = ["connecting", "finding_the_beat", "loading", "full"];

/** No ear is further off. */
const NUDGE_MAX_MS = 500;

/**
 * @param {Document} document
 * @param {Words} words
 * @param {object} told what the listener's hand does
 * @param {(ms: number) => void} told.nudged
 * @param {() => void} told.calibrate
 * @param {() => void} told.reload
 * @param {() => void} told.lend
 * @returns {import("./types").View}
 */
export function createView(document, words, told) {
  const body = document.body;
  const theme = document.querySelector("meta[name=theme-color]");
  const page = {
    stage: part("stage"),
    words: part("words"),
    idle: part("idle"),
    line: part("line"),
    door: part("door"),
    doorTitle: part("door-title"),
    doorHint: part("door-hint"),
    tap: part("tap"),
    hint: part("hint"),
    news: part("news"),
    newsLine: part("news-line"),
    ask: part("ask"),
    ear: part("ear"),
    nudging: part("nudging"),
    slider: /** @type {HTMLInputElement | null} */ (part("nudge")),
    nudge: part("nudge-said"),
    errors: part("errors"),
    calibrate: /** @type {HTMLButtonElement | null} */ (part("calibrate")),
    duet: part("duet"),
    lending: part("lending"),
  };
  /** @type {Map<string, string | boolean>} what stands on the page, so that only changes touch it */
  const standing = new Map();
  /** What the page itself has to say: `update` or `broken`; empty for nothing. */
  let news = "";
  /** @type {import("./types").LampNews} what there is to say of the phone's own lamp */
  let lamp = "missing";
  /** Whether the screen goes dark unless its holder sees to it, and nobody has had the time to read so. */
  let isDimming = false;

  /** @param {string} id */
  function part(id) {
    return document.getElementById(id);
  }

  /**
   * @template {string | boolean} T
   * @param {string} name @param {T} value @param {(value: T) => void} set
   */
  function put(name, value, set) {
    if (standing.get(name) === value) return;
    standing.set(name, value);
    set(value);
  }

  /** @param {string} name @param {HTMLElement | null} element @param {string} text */
  function say(name, element, text) {
    if (element) put(name, text, () => { element.textContent = text; });
  }

  /** @param {string} name @param {HTMLElement | null} element @param {boolean} shown */
  function reveal(name, element, shown) {
    if (element) put(name, shown, () => { element.hidden = !shown; });
  }

  /** @param {string} name @param {boolean} on */
  function mark(name, on) {
    put(name, on, () => { body.classList.toggle(name, on); });
  }

  /** @param {string} id @param {() => void} act */
  function onClick(id, act) {
    const element = part(id);
    if (element) element.addEventListener("click", act);
  }

  // A keyboard goes along, and back.
  /** @param {boolean} open */
  function openEar(open) {
    if (page.ear) page.ear.hidden = !open;
    if (page.ask) page.ask.setAttribute("aria-expanded", String(open));
    const at = open ? part("ear-close") : page.ask;
    if (at) at.focus();
  }

  /** @param {number} ms */
  function nudgeTo(ms) {
    told.nudged(Math.max(-NUDGE_MAX_MS, Math.min(NUDGE_MAX_MS, Math.round(ms))));
  }

  // A projector's page is scrolled by nobody, and a phone's by few.
  function fit() {
    const { stage, words } = page;
    for (let share = 1; stage && words && share > 0.1; share *= 0.95) {
      words.style.setProperty("--fit", String(share));
      if (stage.scrollHeight <= stage.clientHeight) return;
    }
  }

  if (page.stage) new ResizeObserver(fit).observe(page.stage);
  const slid = () => Number(page.slider ? page.slider.value : 0);
  onClick("ask", () => openEar(!page.ear || page.ear.hidden));
  onClick("ear-close", () => openEar(false));
  if (page.ear) page.ear.addEventListener("keydown", ({ key }) => { if (key === "Escape") openEar(false); });
  onClick("nudge-later", () => nudgeTo(slid() - 1));
  onClick("nudge-earlier", () => nudgeTo(slid() + 1));
  onClick("calibrate", () => told.calibrate());
  onClick("reload", () => told.reload());
  onClick("lend", () => told.lend());
  onClick("lend-not", () => {
    lamp = "missing";
    reveal("lending", page.lending, false);
  });
  if (page.slider) page.slider.addEventListener("input", () => nudgeTo(slid()));

  /** What is happening, in words. @param {State} fare */
  function line(fare) {
    switch (fare.state) {
      case "loading": return words.say("loading", { ready: words.number(fare.ready, 0), of: words.number(fare.of, 0) });
      case "in_step": return words.say(fare.doing);
      case "on_own_clock": return words.say(alone(fare.doing));
      case "refused": return words.say(fare.code);
      default: return words.say(fare.state);
    }
  }

  // A hall reads the projector's page, and where nothing plays nothing goes on by itself.
  /** @param {import("./types").Doing} doing */
  function alone(doing) {
    if (body.dataset.role === "performer") return "may_be_old";
    if (doing !== "playing") return "away_line";
    return body.dataset.role === "screen" ? "screen_on_own_clock" : "on_own_clock";
  }

  /** @param {number} ms */
  function nudgeWords(ms) {
    const whole = Math.round(ms);
    if (whole === 0) return words.say("nudge_none");
    return words.say(whole > 0 ? "nudge_earlier" : "nudge_later", { ms: words.number(Math.abs(whole), 0) });
  }

  /** @param {import("./types").DuetNews} it */
  function duetWords(it) {
    switch (it.news) {
      case "none": return "";
      case "failed": return words.say(`duet_${it.why}`);
      case "refused": return words.say("duet_refused", { why: it.message });
      case "found": return words.say(it.late_ms < 0 ? "duet_early" : "duet_late", {
        ms: words.number(Math.abs(it.late_ms), 1), bound: words.within(2 * it.sigma_ms),
      });
      default: return words.say(`duet_${it.news}`);
    }
  }

  /** @param {import("./types").SyncErrors} errors */
  function errorWords({ clock_ms, output_ms, output_source, acoustic_ms }) {
    const output = words.say(`source_${output_source}`, { bound: words.bound(output_ms) });
    return words.say("errors", { clock: words.bound(clock_ms), output, heard: words.bound(acoustic_ms) });
  }

  /** @param {boolean} isTooOld the line says so already; here is the way out */
  function showNews(isTooOld) {
    reveal("news", page.news, isTooOld || news !== "");
    say("news-line", page.newsLine, news && !isTooOld ? words.say(news) : "");
  }

  return {
    show(look) {
      const { state, fare } = look;
      const waitsForTap = state.state === "tap_to_start" || state.state === "tap_to_wake";
      const wakes = state.state === "tap_to_wake";
      put("color", look.color, (color) => {
        body.style.backgroundColor = color;
        if (theme) theme.setAttribute("content", color);
      });
      // For whoever looks from outside: a test, a style.
      put("state", state.state, (name) => { body.dataset.state = name; });
      put("doing", "doing" in fare ? fare.doing : "", (doing) => { body.dataset.doing = doing; });
      mark("dark-ink", look.ink === "dark");
      mark("light-ink", look.ink === "light");
      mark("has-words", look.text !== "");
      mark("in-step", fare.state === "in_step");
      mark("waiting", WAITING.includes(fare.state));
      say("text", page.words, look.text);
      // A dark phone that waits says for what.
      const isPlaying = "doing" in fare && fare.doing === "playing";
      reveal("idle", page.idle, look.text === "" && !isPlaying);
      say("idle-title", page.idle, look.title);
      const isReadyToJoin = state.state === "tap_to_start" && fare.state === "in_step" && fare.doing === "ready";
      say("line", page.line, isReadyToJoin ? words.say("ready_to_join") : line(fare));
      reveal("door", page.door, waitsForTap);
      put("waits", waitsForTap, (waits) => { if (!waits && page.door && page.stage) page.stage.focus(); });
      say("title", page.doorTitle, look.title);
      const comes = fare.state === "refused" ? ["as_audience", "as_audience_hint"] : ["join", "join_hint"];
      const [tap, hint] = wakes ? ["wake", "wake_hint"] : comes;
      say("tap", page.tap, words.say(tap));
      say("door-hint", page.doorHint, words.say(hint));
      const isLate = look.errors.output_source === "doubtful";
      const advice = look.unplayable > 0 ? "unplayable_hint" : isLate ? "bluetooth_hint" : isDimming ? "screen_hint" : "";
      reveal("hint", page.hint, advice !== "" && !waitsForTap);
      if (advice) say("hint-line", page.hint, words.say(advice));
      showNews(fare.state === "outdated");
      // Nobody is asked for anything over what the show shows.
      reveal("lending", page.lending, look.wants_torch && lamp === "free" && look.text === "" && !waitsForTap);
      reveal("ask", page.ask, look.ear !== "closed");
      reveal("nudging", page.nudging, look.ear === "nudges");
      say("ask-line", page.ask, words.say(look.ear === "nudges" ? "out_of_step" : "calibrate"));
      say("nudge-said", page.nudge, nudgeWords(look.nudge_ms));
      put("nudge", String(look.nudge_ms), (ms) => { if (page.slider) page.slider.value = ms; });
      say("errors", page.errors, errorWords(look.errors));
      reveal("calibrate", page.calibrate, look.calibrates);
      say("duet", page.duet, duetWords(look.duet.news));
      put("busy", look.duet.is_on, (on) => { if (page.calibrate) page.calibrate.disabled = on; });
      // Once what does not stand beside them any more is gone.
      put("fit", look.text, fit);
      put("document", look.title, (title) => { document.title = title ? `${title} · Downbeat` : "Downbeat"; });
    },
    tell(what) {
      news = what;
      showNews(false);
    },
    tellLamp(news) {
      lamp = news;
    },
    tellDimming(on) {
      isDimming = on;
    },
  };
}
