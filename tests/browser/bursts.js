// Bursts of a tone, sent live, and how they are told apart: what stories of live sound share.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture } from "./capture.js";
import { heard, until, wav } from "./helpers.js";

/** A burst of a tone every quarter of a second, short enough to be one click to the ear at the output. */
const BURST = { everyS: 0.25, lengthS: 0.008, hz: 997, level: 0.9 };
export const BURSTS = 40;
/** What the whole is to stay within (issue and row speak of the loudspeaker, this is its last sample before). */
export const IN_STEP_MS = 5;

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
export function bursts(folder, more = "") {
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
