// What a person sees: the show's colour and words, a tap to start, and a line that says how the phone fares.

/** @typedef {import("./types").Look} Look */

const TAPS = ["tap_to_start", "tap_to_wake"];

/** No ear is further off. */
const NUDGE_MAX_MS = 500;

/**
 * @param {Document} document
 * @param {{ nudged: (ms: number) => void, calibrate: () => void }} told what the listener's hand does
 * @returns {import("./types").View}
 */
export function createView(document, told) {
  const body = document.body;
  const theme = document.querySelector("meta[name=theme-color]");
  const page = {
    words: part("words"),
    line: part("line"),
    tap: part("tap"),
    tapTitle: part("tap-title"),
    tapLine: part("tap-line"),
    ask: part("ask"),
    ear: part("ear"),
    slider: /** @type {HTMLInputElement | null} */ (part("nudge")),
    nudge: part("nudge-said"),
    errors: part("errors"),
    calibrate: /** @type {HTMLButtonElement | null} */ (part("calibrate")),
    duet: part("duet"),
  };
  /** @type {Map<string, string | boolean>} what stands on the page, so that only changes touch it */
  const standing = new Map();

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

  /** @param {string} name @param {boolean} on */
  function mark(name, on) {
    put(name, on, () => { body.classList.toggle(name, on); });
  }

  /** @param {string} id @param {() => void} act */
  function onClick(id, act) {
    const element = part(id);
    if (element) element.addEventListener("click", act);
  }

  /** @param {boolean} open */
  function openEar(open) {
    if (page.ear) page.ear.hidden = !open;
    if (page.ask) page.ask.setAttribute("aria-expanded", String(open));
  }

  /** @param {number} ms */
  function nudgeTo(ms) {
    told.nudged(Math.max(-NUDGE_MAX_MS, Math.min(NUDGE_MAX_MS, Math.round(ms))));
  }

  const slid = () => Number(page.slider ? page.slider.value : 0);
  onClick("ask", () => openEar(!page.ear || page.ear.hidden));
  onClick("ear-close", () => openEar(false));
  onClick("nudge-later", () => nudgeTo(slid() - 1));
  onClick("nudge-earlier", () => nudgeTo(slid() + 1));
  onClick("calibrate", () => told.calibrate());
  if (page.slider) page.slider.addEventListener("input", () => nudgeTo(slid()));

  /** @param {number} ms */
  function nudgeWords(ms) {
    if (Math.round(ms) === 0) return "as it is";
    return ms > 0 ? `${Math.round(ms)} ms earlier` : `${Math.round(-ms)} ms later`;
  }

  return {
    show(look) {
      const needsTap = TAPS.includes(look.state.state);
      put("color", look.color, (color) => {
        body.style.backgroundColor = color;
        if (theme) theme.setAttribute("content", color);
      });
      mark("dark-ink", look.ink === "dark");
      mark("light-ink", look.ink === "light");
      mark("has-words", look.text !== "");
      mark("in-step", look.state.state === "in_step");
      mark("waiting", ["connecting", "finding_the_beat", "loading", "full"].includes(look.state.state));
      say("text", page.words, look.text);
      say("line", page.line, needsTap ? "" : look.line);
      say("title", page.tapTitle, look.title);
      say("tap-line", page.tapLine, look.line);
      say("nudge-said", page.nudge, nudgeWords(look.nudge_ms));
      put("nudge", String(look.nudge_ms), (ms) => { if (page.slider) page.slider.value = ms; });
      say("errors", page.errors, look.errors);
      say("duet", page.duet, look.duet.line);
      put("busy", look.duet.is_on, (on) => { if (page.calibrate) page.calibrate.disabled = on; });
      if (page.tap) put("tap", needsTap, () => { if (page.tap) page.tap.hidden = !needsTap; });
      put("document", look.title, (title) => { document.title = title ? `${title}: Downbeat` : "Downbeat"; });
    },
  };
}
