// Bursts of a tone, sent live, and how they are told apart: what stories of live sound share.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { between, capture, clickTimes, quantile, stoodStillMs } from "./capture.js";
import { freePorts, heard, inStep, startBox, startBrowser, until, wav } from "./helpers.js";

/** A burst of a tone every quarter of a second, short enough to be one click to the ear at the output. */
const BURST = { everyS: 0.25, lengthS: 0.008, hz: 997, level: 0.9 };
/** So many that one in twenty is more than a single piece that came too late. */
const BURSTS = 50;
/** What the whole is to stay within (issue and row speak of the loudspeaker, this is its last sample before). */
const IN_STEP_MS = 5;

export function all(pages) {
  return Promise.all(pages.map(heard));
}

/** A phone that was tapped, with an ear; `prepare` is done to its page before it opens. */
export async function enter(browser, { url, ear = capture, prepare = () => {} }) {
  const page = await browser.newPage({ bypassCSP: true, ignoreHTTPSErrors: true });
  await page.addInitScript(ear);
  await prepare(page);
  await page.goto(url);
  await page.click("#tap");
  return page;
}

/** A box with a track of bursts, and its port for peer connections, until the story ends. */
export async function begin(later, more) {
  const [port] = await freePorts(1);
  const box = await startBox((folder) => bursts(folder, more), { peers: port });
  later(() => box.stop());
  return { box, port };
}

/** A phone for each way in, all in step and with a channel for what is live, each in a browser of its own until the story ends. */
export async function gather(later, box, ways) {
  const browsers = await Promise.all(ways.map(() => startBrowser()));
  browsers.forEach((it) => later(() => it.close()));
  const pages = await Promise.all(ways.map((way, k) => enter(browsers[k], way)));
  await Promise.all(pages.map(inStep));
  await until("all have a channel", async () => (await peersOf(box)).length === pages.length, 40);
  return pages;
}

/** Asserts that each phone heard its bursts when the first one did, and prints by how much not. */
export function areInStep([one, ...names], ears, firsts) {
  const times = ears.map((it, k) => clickTimes(it).slice(firsts[k]));
  const still = Math.max(...ears.map((it, k) => stoodStillMs(it, firsts[k])));
  names.forEach((name, k) => {
    const apart = between(times[0], times[k + 1]);
    const [p50, p95, most] = [0.5, 0.95, 1].map((part) => quantile(apart, part));
    console.log(`${name} beside ${one}: ${apart.length} bursts, p50 ${p50.toFixed(3)} ms, p95 ${p95.toFixed(3)}, most ${most.toFixed(3)}; sound stood still for ${still.toFixed(1)} ms`);
    assert.ok(apart.length >= BURSTS * 0.9, `${apart.length} bursts were heard by both`);
    assert.ok(p95 <= IN_STEP_MS + still, `${name} is ${p95} ms apart`);
  });
}

/** Waits until pages have heard enough once they all hear something: how many bursts each had heard before. */
export async function hearEnough(pages) {
  const counts = async () => (await all(pages)).map(({ clicks }) => clicks.length);
  await until("all hear it", async () => (await counts()).every((count) => count > 8), 40);
  const firsts = await counts();
  await until("all have heard enough", async () => (await counts()).every((count, k) => count > firsts[k] + BURSTS), 60);
  return firsts;
}

/** The connections that have the channel. */
export async function peersOf(box) {
  const { stdout } = await box.command("phones", "--json");
  return JSON.parse(stdout).phones.map(({ peer }) => peer).filter((peer) => peer && peer.channels.includes("media"));
}

/** A show of one track of bursts, with `more` under its `[show]`. */
function bursts(folder, more = "") {
  mkdirSync(join(folder, "audio"), { recursive: true });
  const [every, length] = [BURST.everyS, BURST.lengthS].map((s) => s * 48_000);
  const sample = (n) => (n % every < length ? Math.round(32_767 * BURST.level * Math.sin((2 * Math.PI * BURST.hz * (n % every)) / 48_000)) : 0);
  writeFileSync(join(folder, "audio/burst.wav"), wav(48_000, 4 * 48_000, sample));
  writeFileSync(join(folder, "show.toml"), `
[show]
title = "Bursts"
${more}

[tracks]
burst = "audio/burst.wav"

[[list]]
name = "main"

[[list.cue]]
number = 1
name = "Colour"
phones = { color = "#ff9030", fade = "200ms" }
`);
  return folder;
}

/** In the page: somebody on the way changes one live piece in ten, and says another one twice. */
export function meddle() {
  const { set } = Object.getOwnPropertyDescriptor(RTCDataChannel.prototype, "onmessage");
  Object.defineProperty(RTCDataChannel.prototype, "onmessage", {
    set(hear) {
      let count = 0;
      set.call(this, this.label !== "media" ? hear : ({ data }) => {
        count += 1;
        hear({ data: count % 10 === 3 ? data.replace(/"chunk_index":(\d+)/, (_, index) => `"chunk_index":${Number(index) + 1}`) : data });
        if (count % 10 === 7) hear({ data });
      });
    },
  });
}
