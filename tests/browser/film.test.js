// A track with pictures plays in step: frame numbers are read off the screen of a page. Prints how far off they were.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { median, quantile } from "./capture.js";
import { BITS, FRAMES_A_SECOND, SECONDS, readFilm, startCinema } from "./film.js";
import { inStep, startBrowser, startOf, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
const FRAME_MS = 1000 / FRAMES_A_SECOND;
let box;
let browser;

const OVER_AND_OVER = `
[[list.cue]]
number = 1
name = "Film"
phones = { track = "numbers", loop = "forever" }
[[list.cue]]
number = 2
name = "Film that speaks"
phones = { track = "spoken", loop = "forever" }
`;
const FILMS = { "numbers.webm": {}, "spoken.mp4": { codec: "h264", sound: "aac" } };

before(async () => {
  if (skip) return;
  browser = await startBrowser();
  box = await startCinema(browser, "Film", FILMS, OVER_AND_OVER);
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

async function phone() {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 }, bypassCSP: true });
  await page.addInitScript(readFilm, BITS);
  await page.goto(`http://localhost:${box.port}/`);
  await page.waitForSelector("#tap:not(:empty)");
  await page.click("#tap");
  await inStep(page);
  return page;
}

/** Whether no film is to be seen: each has its place on the page from when it is preloaded, in the order they came. */
const isDark = (page) => page.evaluate(() => !document.querySelector("#films video:not([hidden])"));

/** How far each frame was from its time when it was first seen, in milliseconds; late is negative. */
async function errors(page, start, frames) {
  const from = await page.evaluate(() => window.film.length);
  await until("it has shown enough frames", async () => (await page.evaluate(() => window.film.length)) > from + frames, 40);
  const shown = (await page.evaluate(() => window.film)).slice(from);
  return shown.map(({ number, atMs }) => {
    const off = number * FRAME_MS - (atMs - start);
    const whole = SECONDS * 1000;
    return off - Math.round(off / whole) * whole;
  });
}

const shown = (ms) => `${ms.toFixed(1)} ms`;

/** Whose frames are at their times, after it has found its pace. */
async function isInTime(t, name, page, start) {
  await until("it has found its pace", async () => (await page.evaluate(() => window.film.length)) > 3 * FRAMES_A_SECOND, 40);
  const all = await errors(page, start, 4 * FRAMES_A_SECOND);
  const sizes = all.map(Math.abs);
  t.diagnostic(`${name}: middle ${shown(median(all))}, p95 ${shown(quantile(sizes, 0.95))}, worst ${shown(Math.max(...sizes))} of ${all.length} frames of ${shown(FRAME_MS)}`);
  assert.ok(Math.abs(median(all)) < FRAME_MS, "within a frame");
}

test("sx19: a film's frames are shown at their times, and a phone that comes late joins in their middle", { skip, timeout: 120_000 }, async (t) => {
  const first = await phone();
  await box.go();
  const start = await startOf(browser, box.port);
  await until("pictures are there", async () => (await first.evaluate(() => window.film.length)) > 0);
  const late = await phone();
  await Promise.all([["first", first], ["late", late]].map(([name, page]) => isInTime(t, name, page, start)));
  if (process.env.SHOTS) await first.screenshot({ path: join(process.env.SHOTS, "film.png") });
  await box.command("stop");
  await until("it goes dark", () => isDark(first));
});

test("sx19: a film in H.264 and AAC out of MP4 is seen at its times, and heard", { skip, timeout: 120_000 }, async (t) => {
  const page = await phone();
  await box.order("goto", { cue: "2" });
  await box.go();
  await isInTime(t, "spoken", page, await startOf(browser, box.port));
  const heard = await page.evaluate(() => {
    const video = document.querySelector("#films video:not([hidden])");
    return { muted: video.muted, volume: video.volume, sounds: video.webkitAudioDecodedByteCount > 0 };
  });
  assert.deepEqual(heard, { muted: false, volume: 1, sounds: true });
  await box.command("stop");
  await page.close();
});

test("sx19: a projector's page shows the film as well, in step, silent, over all of the screen, and nobody touches it", { skip, timeout: 120_000 }, async (t) => {
  const page = await browser.newPage({ viewport: { width: 640, height: 480 }, bypassCSP: true });
  await page.addInitScript(readFilm, BITS);
  await page.goto(`http://localhost:${box.port}/screen`);
  await inStep(page);
  await box.order("goto", { cue: "1" });
  await box.go();
  const start = await startOf(browser, box.port);
  await isInTime(t, "screen", page, start);
  const seen = await page.evaluate(() => {
    const video = document.querySelector("#films video:not([hidden])");
    const { width, height } = video.getBoundingClientRect();
    return { width, height, muted: video.muted };
  });
  assert.deepEqual(seen, { width: 640, height: 480, muted: true });
  await until("nothing else is left on it", () => page.evaluate(() => getComputedStyle(document.querySelector("#foot")).opacity === "0"));
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, "film-screen.png") });
  await box.command("stop");
  await until("it goes dark", () => isDark(page));
});
