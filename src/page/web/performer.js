// What a performer sees: show time, what runs, what comes next, and how long until then. No sound.

/** @typedef {import("./types").Prompt} Prompt */
/** @typedef {import("./types").PromptCue} PromptCue */

/** Older than some answers that were lost: whoever reads it is told its age. */
const OLD_MS = 4000;

/**
 * @param {Document} document
 * @param {import("./types").Words} words
 * @returns {import("./types").Prompter}
 */
export function createPrompter(document, words) {
  const [time, lists] = ["time", "lists"].map((id) => document.getElementById(id));
  /** @type {Prompt | null} */
  let prompt = null;
  let drawn = "";

  /** @param {string} className @param {string} text */
  function line(className, text) {
    const element = document.createElement("p");
    element.className = className;
    element.textContent = text;
    return element;
  }

  /** @param {number} netMs */
  const clock = (netMs) => new Date(netMs).toLocaleTimeString(words.language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  /** @param {PromptCue} cue */
  const named = ({ number, name }) => (name ? `${number} ${name}` : String(number));

  /** What the page says, as classes and texts. @param {Prompt} said @param {number} netS @returns {[string, string][]} */
  function lines(said, netS) {
    /** @type {[string, string][]} */
    const all = said.running.map((cue) => ["now", cue.ends_at === null ? words.say("now", { cue: named(cue) })
      : words.say("now_left", { cue: named(cue), left: span(cue.ends_at - netS) })]);
    if (said.paused) all.push(["held", words.say("paused_now")]);
    said.lists.forEach((list) => {
      const next = list.coming || list.standby;
      if (said.lists.length > 1) all.push(["list", list.name]);
      all.push(["label", words.say(next ? "next" : "nothing_next")]);
      if (!next) return;
      all.push(["next", named(next)]);
      if (list.coming_at === null) all.push(["wait", words.say("on_go")]);
      else if (!said.paused) all.push(["count", span(list.coming_at - netS)]);
    });
    return all;
  }

  return {
    hear(said) {
      prompt = said;
    },
    refuse() {
      [prompt, drawn] = [null, ""];
      if (lists) lists.replaceChildren(line("label", words.say("needs_token")));
    },
    draw(netMs, ageMs = 0) {
      const now = clock(netMs);
      if (time && time.textContent !== now) time.textContent = now;
      if (!prompt || !lists) return;
      const all = lines(prompt, netMs / 1000);
      const isOld = ageMs > OLD_MS;
      if (isOld) all.unshift(["as-of", words.say("as_of", { time: clock(netMs - ageMs) })]);
      lists.className = isOld ? "old" : "";
      const text = JSON.stringify(all);
      if (text === drawn) return;
      drawn = text;
      lists.replaceChildren(...all.map(([className, words]) => line(className, words)));
    },
  };
}

/** How often a performer's page asks what comes, and draws how long until then. */
const ASK_EVERY_MS = 1000;
const REFUSED_FOR_MS = 60_000;
const DRAW_EVERY_MS = 100;

/**
 * Asks the box that the page is with, for as long as the page is there, and draws.
 * @param {object} world
 * @param {Document} world.document
 * @param {import("./types").Words} world.words
 * @param {() => string} world.url
 * @param {string | undefined} world.token
 * @param {() => number} world.netMs network time
 */
export function prompt({ document, words, url, token, netMs }) {
  const prompter = createPrompter(document, words);
  const headers = token ? { authorization: `Bearer ${token}` } : undefined;
  /** Who asks on with a token that does not hold is taken for a guesser; another box may know it, or this one a minute later. */
  let refused = { url: "", untilMs: 0 };
  let heardMs = performance.now();
  async function ask() {
    const from = url();
    try {
      if (from === refused.url && performance.now() < refused.untilMs) return;
      const answer = await fetch(from, { headers, cache: "no-store" });
      if (answer.ok) {
        prompter.hear(await answer.json());
        heardMs = performance.now();
      }
      if (answer.status !== 401 && answer.status !== 403) return;
      refused = { url: from, untilMs: performance.now() + REFUSED_FOR_MS };
      prompter.refuse();
    } catch (_) {
      // The box is away: what was ordered is still counted down.
    } finally {
      setTimeout(ask, ASK_EVERY_MS);
    }
  }
  setInterval(() => prompter.draw(netMs(), performance.now() - heardMs), DRAW_EVERY_MS);
  ask();
}

/** Minutes and seconds that are left: at 0:00 it is time. @param {number} seconds */
export function span(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
