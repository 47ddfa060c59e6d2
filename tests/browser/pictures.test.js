// Live films: the box sends a film's access units as they lie in the file, pages decode them by WebCodecs; its sound goes as all
// live sound does. Frame numbers are read off the screen, bursts of a tone are heard at the output. Prints how far off they were.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { all, enter, meddle } from "./bursts.js";
import { between, capture, clickTimes, median, quantile, stoodStillMs } from "./capture.js";
import { BITS, BURST_EVERY, FRAMES_A_SECOND, RISES_MS, SECONDS, readLive, startCinema } from "./film.js";
import { house, inStep, startBrowser, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
const FRAME_MS = 1000 / FRAMES_A_SECOND;
let box;
let browser;

const FILMS = {
  // Whoever joins has to wait long for a key frame, or get the last one.
  "numbers.webm": { codec: "vp9", keyEvery: 100, sound: "opus" },
  "large.mp4": { codec: "h264", keyEvery: 25, large: true },
  "spoken.mp4": { codec: "h264", sound: "aac" },
  "mute.webm": { codec: "vp9", count: 50 },
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
  await page.addInitScript(capture);
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
  const [first, screen] = await Promise.all(["/", "/screen"].map((path) => open(path)));
  await box.command("air", "numbers");
  await until("pictures are there", async () => (await count(first)) > FRAMES_A_SECOND, 40);
  const startMs = await start(first);
  const late = await open("/");
  await until("pictures are there", async () => (await count(late)) > 5, 40);
  const begun = await late.evaluate(() => ({ isKey: window.parts[0].isKey, seenMs: window.parts[0].seenMs, atMs: window.film[0].atMs }));
  assert.ok(begun.isKey, "a key frame comes first");
  t.diagnostic(`late: its first picture was seen ${said(begun.atMs - begun.seenMs)} after the key frame's time`);
  await Promise.all([["first", first], ["late", late], ["screen", screen]].map(([name, page]) => inTime(t, name, page, startMs)));
  const { shown, lost } = await first.evaluate(() => window.downbeat.pictures());
  assert.ok(shown > 4 * FRAMES_A_SECOND, `${shown} were drawn`);
  assert.equal(lost, 0);
  const phones = async () => JSON.parse((await box.command("phones", "--json")).stdout).phones;
  await until("the box knows what each has shown", async () => (await phones()).every(({ status }) => status?.pictures?.shown > 4 * FRAMES_A_SECOND), 30);
  t.diagnostic(`told to the box: ${JSON.stringify((await phones())[0].status.pictures)}`);
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

test("sx11: Chromium hears of films what the box decodes: AAC-LC, MP3, Opus and Vorbis", { skip }, async () => {
  const table = readFileSync(join(house, "tests/tables/film_sound.txt"), "utf8").split("\n").filter((line) => /^[a-z0-9]+\.(mp4|webm) /.test(line));
  const page = await browser.newPage();
  await page.goto(`http://localhost:${box.port}/healthz`);
  for (const line of table) {
    const [name, ...figures] = line.split(/\s+/);
    const [fromMs, peak, cutTwiceMs] = figures.map(Number);
    const found = await page.evaluate(async (base64) => {
      const { buffer } = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
      const samples = (await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(buffer)).getChannelData(0);
      return { fromMs: samples.findIndex((it) => Math.abs(it) > 0.4) / 48, peak: Math.max(...samples.map(Math.abs)) };
    }, readFileSync(join(house, "tests/vectors/film", name)).toString("base64"));
    assert.ok(Math.abs(found.fromMs + cutTwiceMs - fromMs) < 0.6, `${name}: ${found.fromMs} ms`);
    assert.ok(Math.abs(found.peak - peak) < 0.01, `${name}: ${found.peak}`);
  }
  assert.equal(table.length, 5);
  await page.close();
});

/** Times of bursts and of numbers seen, milliseconds of network time. */
async function together(page, risesMs) {
  const { film, ear, offMs } = await page.evaluate(() => ({
    film: window.film, ear: window.heard(), offMs: window.downbeat.netMs() - performance.timeOrigin - performance.now(),
  }));
  const clicks = clickTimes(ear).map((ms) => ms + offMs - risesMs);
  // As long as a burst is loud it is heard again and again.
  const bursts = clicks.filter((ms, k) => k === 0 || ms - clicks[k - 1] > 100);
  const at = (is) => film.filter(({ number }) => is(number)).map(({ atMs }) => atMs);
  return { bursts, frames: at((it) => it > 0 && it % BURST_EVERY === 0), firsts: at((it) => it === 0), stillMs: ear.clicks.length > 0 ? stoodStillMs(ear, 0) : 0 };
}

for (const [name, how, risesMs] of [["numbers", "VP9 and Opus out of WebM", RISES_MS.opus], ["spoken", "H.264 and AAC out of MP4", RISES_MS.aac]]) {
  test(`sx11: a live film in ${how} is heard when it is seen, pass after pass`, { skip, timeout: 120_000 }, async (t) => {
    const page = await open("/");
    await box.command("air", name);
    await until("it was over twice", async () => (await count(page)) > 2.3 * SECONDS * FRAMES_A_SECOND, 60);
    const { bursts, frames, firsts, stillMs } = await together(page, risesMs);
    await box.command("air");
    const inTime = bursts.filter((ms) => ms > frames[0] && ms < frames[frames.length - 1]);
    const apart = between(frames, inTime);
    const half = Math.floor(apart.length / 2);
    t.diagnostic(`sound after its picture: middle ${said(median(apart))}, p95 ${said(quantile(apart, 0.95))}, worst ${said(quantile(apart, 1))} of ${apart.length} bursts, pictures of ${said(FRAME_MS)}; first half ${said(median(apart.slice(0, half)))}, second ${said(median(apart.slice(half)))}; sound stood still for ${said(stillMs)}`);
    assert.ok(apart.length > 2 * SECONDS * FRAMES_A_SECOND / BURST_EVERY * 0.9, `${apart.length} bursts were heard`);
    assert.ok(Math.abs(median(apart)) < FRAME_MS / 2, "nearer to its own picture than to another");
    assert.ok(quantile(apart, 0.9) < FRAME_MS + stillMs, "and so are all but a few");
    // Were it off by some bursts, one would be heard at the film's first picture.
    const alone = firsts.filter((ms) => bursts.every((burst) => Math.abs(burst - ms) > 100));
    assert.deepEqual(alone, firsts);
    assert.ok(firsts.length >= 2);
    await page.close();
  });
}

test("sx11: a film without sound is shown all the same, and that it has none is said once", { skip, timeout: 60_000 }, async () => {
  const page = await open("/");
  const said = () => page.getAttribute("body", "data-doing");
  await box.command("air", "mute");
  await until("it was over twice", async () => (await count(page)) > 2 * 50 + 5, 40);
  assert.deepEqual([await said(), await page.textContent("#line")], ["playing", "Playing"]);
  assert.ok(await page.isHidden("#ask"), "nothing was early or late yet");
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, "live-mute.png") });
  assert.equal(box.said().match(/mute is shown without its sound: it has none/g).length, 1);
  assert.equal((await page.evaluate(() => window.heard())).clicks.length, 0);
  await box.command("air");
  await until("it waits again", async () => (await said()) === "ready");
  await page.close();
});

test("sx11: a browser without WebCodecs says in plain words that it cannot show a film, and hears it; it is told so once a film, others never", { skip, timeout: 60_000 }, async () => {
  const [page, able] = await Promise.all([open("/", () => { delete window.VideoDecoder; }), open("/")]);
  await box.command("air", "numbers");
  await page.waitForSelector(".excuse");
  assert.match(await page.textContent(".excuse"), /this browser cannot show it/);
  await until("it hears some bursts all the same", () => page.evaluate(() => window.heard().clicks.length > 3));
  const untaken = (whose) => whose.evaluate(() => window.untaken);
  const pieces = (whose) => whose.evaluate(() => window.parts.length);
  assert.deepEqual(await untaken(page), [["numbers", "vp9"]]);
  const before = await pieces(able);
  assert.ok(before > FRAMES_A_SECOND, `of ${before} pieces`);
  await box.command("air", "large");
  await until("another film has gone on for a while", async () => (await pieces(able)) > before + 2 * FRAMES_A_SECOND);
  assert.deepEqual(await untaken(page), [["numbers", "vp9"], ["large", "h264"]]);
  assert.equal(await pieces(page), 0, "and gets none");
  assert.deepEqual(await untaken(able), []);
  await box.command("air");
  await Promise.all([page, able].map((it) => it.close()));
});

test("sx11: a film of a codec that goes nowhere live is not put on air, and the box says why", { skip }, async () => {
  await box.command("air", "old");
  await until("the box says why", async () => /its pictures are V_VP8/.test(box.said()));
  await box.command("air");
});

test("sx20: a sealed film is seen and heard at its times with a token, and not without, nor what was meddled with", { skip, timeout: 120_000 }, async (t) => {
  const sealed = await startCinema(browser, "Sealed", { "numbers.webm": FILMS["numbers.webm"] }, WORDS, "seal = true");
  try {
    const token = (await sealed.command("token", "--role", "audience")).stdout.trim().split("\n").pop();
    const url = `https://localhost:${sealed.securePort}/`;
    const phone = (more, prepare = () => {}) => enter(browser, {
      url: `${url}${more}`,
      async prepare(page) {
        await page.addInitScript(readLive, BITS);
        await prepare(page);
      },
    });
    // The box lists them in the order in which they come.
    const invited = await phone(`#token=${token}`);
    const meddled = await phone(`#token=${token}`, (page) => page.addInitScript(meddle));
    const stranger = await phone("");
    const pages = [invited, meddled, stranger];
    await Promise.all(pages.map(inStep));
    await Promise.all(pages.map((page) => until("its channel is open", () => page.evaluate(() => window.downbeat.channels().media?.readyState === "open"))));
    await sealed.command("air", "numbers");
    // Who joins between key frames is sent pictures that were counted before the sound of that time.
    await until("pictures are there", async () => (await count(invited)) > 2 * FRAMES_A_SECOND, 40);
    const late = await phone(`#token=${token}`);
    await Promise.all([["invited", invited], ["late", late]].map(async ([name, page]) => {
      await until("it has seen a second of it", async () => (await count(page)) > FRAMES_A_SECOND, 40);
      await until("and hears it", async () => (await together(page, RISES_MS.opus)).bursts.length > 12, 40);
      const { bursts, frames } = await together(page, RISES_MS.opus);
      const apart = between(frames, bursts.filter((ms) => ms > frames[0]));
      t.diagnostic(`${name}: sound after its picture: middle ${said(median(apart))} of ${apart.length} bursts`);
      assert.ok(Math.abs(median(apart)) < FRAME_MS / 2);
    }));
    assert.ok((await count(meddled)) > 0, "what was not meddled with is seen");
    const status = async (k) => JSON.parse((await sealed.command("phones", "--json")).stdout).phones.map(({ status: it }) => it || {})[k];
    await until("the box knows that somebody meddles", async () => ["changed", "replayed"].includes((await status(1)).live_refused_why), 30);
    await until("and who has no token", async () => (await status(2)).live_refused_why === "no_token", 30);
    const { pictures } = await status(1);
    assert.ok(pictures.shown > 0 && pictures.lost > 0, JSON.stringify(pictures));
    for (const k of [0, 3]) assert.equal((await status(k)).live_refused, undefined, "to who was invited nothing was repeated or changed");
    const [{ clicks }] = await all([stranger]);
    assert.deepEqual([await count(stranger), clicks.length, (await status(2)).pictures], [0, 0, undefined]);
    assert.match(await stranger.locator("#sealed").textContent(), /Ask for an invitation/);
    const { stdout } = await sealed.command("phones");
    assert.match(stdout, /pictures shown/);
    t.diagnostic(stdout.split("\n").filter((it) => /left out|pictures shown/.test(it)).join("; "));
  } finally {
    await sealed.stop();
  }
});
