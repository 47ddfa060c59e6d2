// Live pictures: the box sends a film's access units as they lie in the file, pages decode them by WebCodecs. Frame numbers
// are read off the screen. Prints how far off they were.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { median, quantile } from "./capture.js";
import { BITS, FRAMES_A_SECOND, SECONDS, readLive, startCinema } from "./film.js";
import { inStep, startBrowser, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
const FRAME_MS = 1000 / FRAMES_A_SECOND;
let box;
let browser;

const FILMS = {
  // Whoever joins has to wait long for a key frame, or get the last one.
  "numbers.webm": { codec: "vp9", keyEvery: 100 },
  "large.mp4": { codec: "h264", keyEvery: 25, large: true },
  "old.webm": {},
};
const WORDS = `
[[list.cue]]
number = 1
name = "Words"
phones = { text = "Good evening" }
`;

before(async () => {
  if (skip) return;
  browser = await startBrowser();
  box = await startCinema(browser, "Live pictures", FILMS, WORDS);
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

async function open(path, prepare = () => {}) {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 }, bypassCSP: true });
  page.on("pageerror", (error) => console.error(path, error));
  await page.addInitScript(readLive, BITS);
  await page.addInitScript(prepare);
  await page.goto(`http://localhost:${box.port}${path}`);
  if (path === "/") {
    await page.waitForSelector("#tap:not(:empty)");
    await page.click("#tap");
  }
  await inStep(page);
  await until("its channel is open", () => page.evaluate(() => window.downbeat.channels().media?.readyState === "open"));
  return page;
}

const count = (page) => page.evaluate(() => window.film.length);
const start = async (page) => (await page.evaluate(() => window.parts.find(({ index }) => index === 0))).seenMs;

/** How far each picture was from its time when it was first seen, in milliseconds; late is negative. */
async function errors(page, startMs, frames) {
  const from = await count(page);
  await until("it has shown enough pictures", async () => (await count(page)) > from + frames, 40);
  const shown = (await page.evaluate(() => window.film)).slice(from);
  const whole = SECONDS * 1000;
  return shown.map(({ number, atMs }) => {
    const off = number * FRAME_MS - (atMs - startMs);
    return off - Math.round(off / whole) * whole;
  });
}

const said = (ms) => `${ms.toFixed(1)} ms`;

async function inTime(t, name, page, startMs) {
  const all = await errors(page, startMs, 4 * FRAMES_A_SECOND);
  const sizes = all.map(Math.abs);
  t.diagnostic(`${name}: middle ${said(median(all))}, p95 ${said(quantile(sizes, 0.95))}, worst ${said(Math.max(...sizes))} of ${all.length} pictures of ${said(FRAME_MS)}`);
  assert.ok(Math.abs(median(all)) < FRAME_MS / 2, "nearer to its own time than to another's");
}

test("sx11: live pictures in VP9 are seen at their times, and who joins between key frames sees them at once", { skip, timeout: 120_000 }, async (t) => {
  const first = await open("/");
  const screen = await open("/screen");
  await box.command("air", "numbers");
  await until("pictures are there", async () => (await count(first)) > FRAMES_A_SECOND, 40);
  const startMs = await start(first);
  const late = await open("/");
  await until("pictures are there", async () => (await count(late)) > 5, 40);
  const begun = await late.evaluate(() => ({ isKey: window.parts[0].isKey, seenMs: window.parts[0].seenMs, atMs: window.film[0].atMs }));
  assert.ok(begun.isKey, "a key frame comes first");
  t.diagnostic(`late: its first picture was seen ${said(begun.atMs - begun.seenMs)} after the key frame's time`);
  for (const [name, page] of [["first", first], ["late", late], ["screen", screen]]) await inTime(t, name, page, startMs);
  const { shown, lost } = await first.evaluate(() => window.downbeat.pictures());
  assert.ok(shown > 4 * FRAMES_A_SECOND, `${shown} were drawn`);
  assert.equal(lost, 0);
  if (process.env.SHOTS) await first.screenshot({ path: join(process.env.SHOTS, "live-pictures.png") });
  await box.command("air");
  for (const page of [first, late, screen]) {
    await until("it goes dark", () => page.evaluate(() => document.querySelector(".films canvas").hidden));
    await page.close();
  }
});

test("sx11: live pictures in H.264 out of an MP4 file are seen at their times, in as many parts as they need", { skip, timeout: 120_000 }, async (t) => {
  const page = await open("/");
  await box.command("air", "large");
  await until("pictures are there", async () => (await count(page)) > FRAMES_A_SECOND, 40);
  await inTime(t, "h264", page, await start(page));
  const parts = await page.evaluate(() => window.parts);
  t.diagnostic(`the largest picture came in ${Math.max(...parts.map(({ left }) => left)) + 1} parts`);
  assert.ok(parts.some(({ left }) => left > 0), "some need several");
  assert.ok(parts.every(({ octets }) => octets < 64 << 10), "and none is large");
  await box.command("air");
  await page.close();
});

test("sx11: a browser without WebCodecs says in plain words that it cannot show them, and a film of another codec is not put on air", { skip, timeout: 60_000 }, async () => {
  const page = await open("/", () => { delete window.VideoDecoder; });
  await box.command("air", "numbers");
  await page.waitForSelector(".excuse");
  assert.match(await page.textContent(".excuse"), /this browser cannot show it/);
  assert.equal(await page.evaluate(() => window.parts.length), 0, "and gets none");
  await box.command("air", "old");
  await until("the box says why", async () => /its pictures are V_VP8/.test(box.said()));
  await box.command("air");
  await page.close();
});
