// The page's words: two files a language, and of these the one that is asked for. The second is of what comes later than the
// page, and comes with that. No other module holds a word.

/** @typedef {import("./types").Words} Words */

export const LANGUAGES = ["en", "ja"];

/** What the address asks for goes before what the browser asks for. */
export function wished() {
  return [new URLSearchParams(location.search).get("lang") || [], navigator.languages || navigator.language].flat();
}

/** The first of the languages asked for that there is; else the first there is. @param {readonly string[]} asked */
export function choose(asked) {
  const plain = asked.map((tag) => tag.toLowerCase().split("-")[0]);
  return plain.find((tag) => LANGUAGES.includes(tag)) || LANGUAGES[0];
}

/**
 * @param {object} world
 * @param {(url: string) => Promise<Response>} world.fetch
 * @param {readonly string[]} world.asked tags of languages, best first
 * @returns {Promise<Words>}
 */
export async function loadWords({ fetch, asked }) {
  const language = choose(asked);
  /** @param {string} name */
  async function load(name) {
    const answer = await fetch(`/page/words/${name}.json`);
    if (!answer.ok) throw new Error(`no words: ${answer.status}`);
    return answer.json();
  }
  return createWords(language, await load(language), () => load(`${language}-later`));
}

/** @param {string} language @param {{ [key: string]: string }} table
 * @param {() => Promise<{ [key: string]: string }>} [later] the rest of it @returns {Words} */
export function createWords(language, table, later = async () => ({})) {
  /** @param {string} key @param {{ [name: string]: string | number }} values */
  function say(key, values = {}) {
    const sentence = table[key];
    if (sentence === undefined) throw new Error(`there are no words for ${key}`);
    return sentence.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  /** @param {number} value @param {number} digits after the point */
  function number(value, digits) {
    return value.toLocaleString(language, { maximumFractionDigits: digits });
  }

  // Rounded up, so that a bound stays one; and never shown as nothing.
  /** @param {number} ms */
  function roundedUp(ms) {
    const tenths = Math.max(1, Math.ceil(ms * 10));
    return tenths < 100 ? number(tenths / 10, 1) : number(Math.ceil(tenths / 10), 0);
  }

  return {
    language,
    direction: table.direction,
    say,
    async more() {
      Object.assign(table, await later());
    },
    number,
    bound: (ms) => (ms === null ? say("unknown") : say("bound", { bound: roundedUp(ms) })),
    within: (ms) => say("within", { bound: roundedUp(ms) }),
    dress(document) {
      document.documentElement.lang = language;
      document.documentElement.dir = table.direction;
      document.querySelectorAll("[data-say]").forEach((element) => {
        element.textContent = say(element.getAttribute("data-say") || "");
      });
      document.querySelectorAll("[data-say-label]").forEach((element) => {
        element.setAttribute("aria-label", say(element.getAttribute("data-say-label") || ""));
      });
    },
  };
}
