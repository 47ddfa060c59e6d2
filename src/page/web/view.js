// What a person sees: the show's colour and words, a tap to start, and a line that says how the phone fares.

/** @typedef {import("./types").Look} Look */

const TAPS = ["tap_to_start", "tap_to_wake"];

/**
 * @param {Document} document
 * @returns {import("./types").View}
 */
export function createView(document) {
  const body = document.body;
  const theme = document.querySelector("meta[name=theme-color]");
  const page = {
    words: part("words"),
    line: part("line"),
    tap: part("tap"),
    tapTitle: part("tap-title"),
    tapLine: part("tap-line"),
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
      if (page.tap) put("tap", needsTap, () => { if (page.tap) page.tap.hidden = !needsTap; });
      put("document", look.title, (title) => { document.title = title ? `${title}: Downbeat` : "Downbeat"; });
    },
  };
}
