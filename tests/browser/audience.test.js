// What an audience sees, at the sizes of phones: each state, in each language, from right to left, and in large letters.
//
// The page's own view is shown looks by hand. With `SHOTS=FOLDER` each is photographed.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { clickShow, house, startBox, startBrowser, whyNot } from "./helpers.js";

const skip = whyNot() || false;
let box;
let browser;

before(async () => {
  if (skip) return;
  box = await startBox(clickShow);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

const inStep = (doing) => ({ state: "in_step", bound_ms: 1.2, doing });
const errors = { clock_ms: 1.2, output_ms: 5.01, output_source: "reported", acoustic_ms: null };
const rest = { is_on: false, news: { news: "none" } };
const look = (fare, more = {}) => ({
  color: "#000000", ink: "light", text: "", title: "An Evening With The Orchestra", torch: false, wants_torch: false, state: fare, fare,
  still_until_ms: null, errors, nudge_ms: 0, ear: "nudges", duet: rest, correction_ms: null, correction_sigma_ms: null, ...more,
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
  bluetooth: look(inStep("playing"), { errors: { ...errors, output_ms: null, output_source: "doubtful" } }),
  film: look(inStep("playing"), ORANGE),
  "film-live": look(inStep("playing"), { ear: "closed" }),
  lamp: look(inStep("playing"), { ...ORANGE, wants_torch: true }),
  "lamp-refused": look(inStep("ready"), { wants_torch: true }),
  ear: look(inStep("playing"), {
    ...ORANGE, nudge_ms: 12, duet: { is_on: false, news: { news: "found", late_ms: 25.04, sigma_ms: 0.2 } },
  }),
  "ear-before-doors": look(inStep("ready"), { ear: "calibrates" }),
};
const SIZES = { small: [320, 568], tall: [390, 844], side: [640, 360] };

/** A language that shows by its brackets what went through the words, and that runs from right to left. */
function bracketed() {
  const words = JSON.parse(readFileSync(join(house, "src/page/web/words/en.json"), "utf8"));
  const all = Object.entries(words).map(([key, text]) => [key, `[${text}]`]);
  return { ...Object.fromEntries(all), direction: "rtl" };
}

/** The page with its view alone, so that nothing moves by itself. */
async function dressed(language, [width, height], letters) {
  const page = await browser.newPage({ viewport: { width, height }, deviceScaleFactor: 2 });
  await page.route("**/page/start.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  await page.route("**/page/words/xx.json", (route) => route.fulfill({ json: bracketed() }));
  await page.goto(`http://localhost:${box.port}/`);
  await page.evaluate(async ({ language, letters }) => {
    document.documentElement.style.fontSize = letters;
    const [{ createWords }, { createView }] = await Promise.all([import("/page/words.js"), import("/page/view.js")]);
    const table = await (await fetch(`/page/words/${language}.json`)).json();
    const words = createWords(language === "xx" ? "en" : language, table);
    words.dress(document);
    for (const id of ["silent", "keep-on"]) document.getElementById(id).hidden = false;
    window.wall = document.createElement("div");
    document.body.prepend(window.wall);
    window.view = createView(document, words, { nudged() {}, calibrate() {}, reload() {}, lend() {} });
  }, { language, letters });
  return page;
}

async function show(page, name) {
  await page.evaluate(({ look, ear, lamp, film }) => {
    window.wall.className = film ? "films lit" : "films";
    window.view.tellLamp(lamp);
    window.view.show(look);
    document.getElementById("ear").hidden = !ear;
  }, { look: STATES[name], ear: name.startsWith("ear"), lamp: name === "lamp-refused" ? "refused" : "free", film: name.startsWith("film") });
}

/** In the page: what is cut off, and every text that is seen. */
function inspect() {
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
  // Of what wraps, the first line.
  const box = (id) => document.getElementById(id).getClientRects()[0] || {};
  const ink = getComputedStyle(document.getElementById("words")).color;
  return { wrong, texts, ink, lamp: box("lamp").left, line: box("line").left, tap: box("tap").bottom, height: innerHeight };
}

async function photograph(page, name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
}

for (const [language, direction] of [["en", "ltr"], ["ja", "ltr"], ["xx", "rtl"]]) {
  test(`every state is whole and readable: ${language}, ${direction}`, { skip, timeout: 120_000 }, async () => {
    const errors = [];
    for (const [size, extent] of Object.entries(SIZES)) {
      for (const letters of ["100%", "200%"]) {
        const page = await dressed(language, extent, letters);
        page.on("pageerror", (error) => errors.push(error.message));
        for (const name of Object.keys(STATES)) {
          await show(page, name);
          const where = `${language}-${size}-${letters.slice(0, -1)}-${name}`;
          const seen = await page.evaluate(inspect);
          await photograph(page, where);
          assert.deepEqual(seen.wrong, [], where);
          assert.equal(seen.line > seen.lamp, direction === "ltr", `${where}: the lamp stands before the line`);
          if (/^(join|wake)$/.test(name) && (size !== "side" || letters === "100%")) {
            assert.ok(seen.tap > 0 && seen.tap <= seen.height, `${where}: the button is seen without scrolling`);
          }
          if (name.startsWith("film")) {
            assert.equal(seen.ink, "rgb(255, 255, 255)", `${where}: whatever ink the colour under the film asks for`);
            assert.ok(!seen.texts.some(([id]) => id === "idle"), `${where}: the film alone is seen`);
          }
          if (language !== "xx") continue;
          const ofTheShow = ["words", "door-title", "idle"];
          const bare = seen.texts.filter(([id, text]) => !ofTheShow.includes(id) && !/^\[.*\]$|^[×−+]$/.test(text));
          assert.deepEqual(bare, [], `${where}: every word is of the words file`);
        }
        await page.close();
      }
    }
    assert.deepEqual(errors, []);
  });
}

test("the page speaks the language that the browser asks for, and the address before it", { skip, timeout: 60_000 }, async () => {
  const context = await browser.newContext({ locale: "ja-JP" });
  const page = await context.newPage();
  const tap = () => page.textContent("#tap");
  const ready = () => page.waitForSelector("#tap:not(:empty)");
  await page.goto(`http://localhost:${box.port}/`);
  await ready();
  assert.deepEqual([await tap(), await page.getAttribute("html", "lang")], ["ショーに参加する", "ja"]);
  await page.goto(`http://localhost:${box.port}/?lang=en`);
  await ready();
  assert.deepEqual([await tap(), await page.getAttribute("html", "lang")], ["Join the show", "en"]);
  await context.close();
});
