// Every state in which an audience may see its page, at the sizes of phones, and what is to hold in each.
//
// The page's own view is shown looks by hand, so that nothing moves by itself.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { house } from "./helpers.js";

const inStep = (doing) => ({ state: "in_step", bound_ms: 1.2, doing });
const errors = { clock_ms: 1.2, output_ms: 5.01, output_source: "reported", acoustic_ms: null };
const rest = { is_on: false, news: { news: "none" } };
const look = (fare, more = {}) => ({
  color: "#000000", ink: "light", text: "", title: "An Evening With The Orchestra", torch: false, wants_torch: false, unplayable: 0, state: fare, fare,
  still_until_ms: null, errors, nudge_ms: 0, ear: "nudges", duet: rest, calibrates: true, correction_ms: null, correction_sigma_ms: null, ...more,
});
const ORANGE = { color: "#ff9030", ink: "dark", text: "Good evening, and welcome" };
const STATES = {
  join: look(inStep("ready"), { state: { state: "tap_to_start" } }),
  "join-loading": look({ state: "loading", ready: 3, of: 5 }, { state: { state: "tap_to_start" } }),
  "join-refused": look({ state: "refused", code: "unauthorized" }, { state: { state: "tap_to_start" } }),
  wake: look(inStep("playing"), { state: { state: "tap_to_wake" }, ...ORANGE }),
  connecting: look({ state: "connecting" }),
  finding: look({ state: "finding_the_beat" }),
  loading: look({ state: "loading", ready: 3, of: 5 }),
  ready: look(inStep("ready"), { ear: "closed" }),
  "ready-over-tls": look(inStep("ready"), { ear: "calibrates" }),
  playing: look(inStep("playing"), ORANGE),
  paused: look(inStep("paused"), ORANGE),
  alone: look({ ...inStep("playing"), state: "on_own_clock" }, { color: "#8a1538", text: "Listen" }),
  full: look({ state: "full" }),
  outdated: look({ state: "outdated" }),
  unplayable: look(inStep("ready"), { unplayable: 1 }),
  bluetooth: look(inStep("playing"), { errors: { ...errors, output_ms: null, output_source: "doubtful" } }),
  film: look(inStep("playing"), ORANGE),
  "film-live": look(inStep("playing"), { ear: "closed" }),
  lamp: look(inStep("playing"), { color: "#ff9030", ink: "dark", wants_torch: true }),
  ear: look(inStep("playing"), {
    ...ORANGE, nudge_ms: 12, duet: { is_on: false, news: { news: "found", late_ms: 25.04, sigma_ms: 0.2 } },
  }),
  "ear-before-doors": look(inStep("ready"), { ear: "calibrates" }),
};

export const names = Object.keys(STATES);
export const SIZES = { small: [320, 568], tall: [390, 844], side: [640, 360] };
/** Two languages, and one that runs from right to left. */
export const LANGUAGES = [["en", "ltr"], ["ja", "ltr"], ["xx", "rtl"]];
export const LETTERS = ["100%", "200%"];

/** A language's words; of `xx` brackets show what went through the words. */
function wordsOf(language) {
  const name = language === "xx" ? "en" : language;
  const parts = ["", "-later"].map((part) => JSON.parse(readFileSync(join(house, `src/page/web/words/${name}${part}.json`), "utf8")));
  const words = Object.assign({}, ...parts);
  if (language !== "xx") return words;
  const all = Object.entries(words).map(([key, text]) => [key, `[${text}]`]);
  return { ...Object.fromEntries(all), direction: "rtl" };
}

/** In a page of the box: a frame of this size with what the box says there, all but what brings it up. No window of most
 * browsers is as small as a phone. */
export async function frame({ url, extent: [width, height] }) {
  const text = await (await fetch(url)).text();
  const it = document.createElement("iframe");
  Object.assign(it, { width, height, srcdoc: text.replace(/<script.*<\/script>/, "") });
  it.style.border = "0";
  document.body.style.margin = "0";
  const isThere = new Promise((done) => { it.onload = done; });
  document.body.replaceChildren(it);
  await isThere;
}

/** The page, which has not begun by itself, gets a view in this language and with letters of this size. */
export function dress(page, language, letters) {
  return page.evaluate(async ({ language, letters, table }) => {
    document.documentElement.style.fontSize = letters;
    const [{ createWords }, { createView }] = await Promise.all([import("/page/words.js"), import("/page/view.js")]);
    const words = createWords(language, table);
    words.dress(document);
    for (const id of ["silent", "keep-on"]) document.getElementById(id).hidden = false;
    window.wall = document.createElement("div");
    document.body.prepend(window.wall);
    window.view = createView(document, words, { nudged() {}, calibrate() {}, reload() {}, lend() {} });
  }, { language: language === "xx" ? "en" : language, letters, table: wordsOf(language) });
}

/** Shows the state of this name, and tells what is seen of it. */
export function show(page, name) {
  return page.evaluate(see, {
    look: STATES[name], ear: name.startsWith("ear"), film: name.startsWith("film"),
  });
}

export const whereOf = ({ language, size, letters, name }) => `${language}-${size}-${letters.slice(0, -1)}-${name}`;

/** What is seen is whole, readable and in its place. */
export function assertWhole(seen, { name, language, direction, size, letters }) {
  const where = whereOf({ language, size, letters, name });
  assert.deepEqual(seen.wrong, [], where);
  assert.equal(seen.line > seen.lamp, direction === "ltr", `${where}: the lamp stands before the line`);
  if (/^(join|wake)$/.test(name) && (size !== "side" || letters === "100%")) {
    assert.ok(seen.tap > 0 && seen.tap <= seen.height, `${where}: the button is seen without scrolling`);
  }
  if (name.startsWith("film")) {
    assert.equal(seen.ink, "rgb(255, 255, 255)", `${where}: whatever ink the colour under the film asks for`);
    assert.ok(!seen.texts.some(([id]) => id === "idle"), `${where}: the film alone is seen`);
  }
  if (language !== "xx") return;
  const ofTheShow = ["words", "door-title", "idle"];
  const bare = seen.texts.filter(([id, text]) => !ofTheShow.includes(id) && !/^\[.*\]$|^[×−+]$/.test(text));
  assert.deepEqual(bare, [], `${where}: every word is of the words file`);
}

/** In the page: shows, and tells what is cut off, and every text that is seen. */
function see({ look, ear, film }) {
  window.wall.className = film ? "films lit" : "films";
  window.view.tellLamp("free");
  window.view.show(look);
  document.getElementById("ear").hidden = !ear;
  const wrong = [];
  const texts = [];
  const isSeen = (element) => element.getClientRects().length > 0;
  const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowY);
  for (const element of document.body.querySelectorAll("*")) {
    if (!isSeen(element) || element.closest("noscript")) continue;
    const own = [...element.childNodes].filter((it) => it.nodeType === 3 && it.textContent.trim());
    const name = element.id || element.tagName;
    const it = element.getBoundingClientRect();
    if (it.left < -0.5 || it.right > innerWidth + 0.5) wrong.push(`${name} is cut off at a side`);
    if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0) wrong.push(`${name} is too wide for itself`);
    if (own.length === 0 && !element.matches("button, input")) continue;
    let port = element;
    while (port && !scrolls(port)) port = port.parentElement;
    const top = port ? port.getBoundingClientRect().top - port.scrollTop : 0;
    if (it.top < top - 0.5) wrong.push(`${name} begins above where anybody can scroll`);
    if (!port && it.bottom > innerHeight + 0.5) wrong.push(`${name} is cut off below`);
    own.forEach((text) => texts.push([name, text.textContent.trim()]));
    if (element.getAttribute("aria-label")) texts.push([name, element.getAttribute("aria-label")]);
  }
  if (document.getElementById("foot").offsetHeight > innerHeight / 2 + 0.5) wrong.push("the foot takes more than half");
  // Of what wraps, the first line.
  const box = (id) => document.getElementById(id).getClientRects()[0] || {};
  const ink = getComputedStyle(document.getElementById("words")).color;
  return { wrong, texts, ink, lamp: box("lamp").left, line: box("line").left, tap: box("tap").bottom, height: innerHeight };
}
