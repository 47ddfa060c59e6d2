// Volume and fades of a track, as they are heard in Chromium.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { heard, inStep, startBox, startBrowser, tapped, until, wav, whyNot } from "./helpers.js";

const skip = whyNot() || false;
const RATE_HZ = 48_000;
const FADE_S = 2;
/** Of a track whose samples are all at 32,000 of 32,768. */
const LOUD = (32_000 / 32_768) * 10 ** (-1 / 20);
let box;
let browser;

/** A track that is as loud all along, up a fade and down another: no wave, so that every sample tells the level. */
function steady(folder) {
  mkdirSync(join(folder, "audio"), { recursive: true });
  writeFileSync(join(folder, "audio/steady.wav"), wav(RATE_HZ, RATE_HZ * 3 * FADE_S, () => 32_000));
  writeFileSync(join(folder, "show.toml"), `
[show]
title = "Fades"
[tracks]
steady = "audio/steady.wav"
[[list]]
name = "main"
[[list.cue]]
number = 1
phones = { track = "steady", volume_db = -1, fade_in = "${FADE_S}s", fade_out = "${FADE_S}s" }
`);
  return folder;
}

before(async () => {
  if (skip) return;
  box = await startBox(steady);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

/** What is heard every hundredth of a second, where it is louder than the ear's least: `[seconds, level]`. */
async function levels(page) {
  return (await heard(page)).clicks.map(({ audioS, peak }) => [audioS, Math.abs(peak)]);
}

/** By how much it rises a second, by least steadys. */
function slope(points) {
  const [meanS, mean] = [0, 1].map((at) => points.reduce((sum, it) => sum + it[at], 0) / points.length);
  const over = points.reduce((sum, [s, level]) => sum + (s - meanS) * (level - mean), 0);
  return over / points.reduce((sum, [s]) => sum + (s - meanS) ** 2, 0);
}

const isAt = (level, wanted, share) => Math.abs(level - wanted) < Math.abs(wanted) * share;

test("sx10: a track's volume and its fades are heard as they were ordered", { skip, timeout: 60_000 }, async (t) => {
  const page = await tapped(browser, box.port);
  await inStep(page);
  await box.go();
  const whole = ([, level]) => isAt(level, LOUD, 0.01);
  const ends = async () => {
    const all = await levels(page);
    return all.length > 300 && all.at(-1)[1] < LOUD * 0.5 && all;
  };
  const all = await until("it has risen, and fallen towards its end", ends);
  const top = all.filter(whole);
  const [rising, falling] = [all.filter(([s]) => s < top[0][0]), all.filter(([s]) => s > top.at(-1)[0])];
  const [rose, fell] = [slope(rising), slope(falling)];
  t.diagnostic(`rises by ${rose.toFixed(4)} a second and falls by ${(-fell).toFixed(4)}, where ${(LOUD / FADE_S).toFixed(4)} is asked`);
  assert.ok(rising.length > 50 && isAt(rose, LOUD / FADE_S, 0.03), `${rose} by ${rising.length} levels`);
  assert.ok(falling.length > 50 && isAt(fell, -LOUD / FADE_S, 0.03), `${fell} by ${falling.length} levels`);
  assert.ok(top.length > 150, `${top.length} hundredths of a second at its volume`);
  assert.ok(all.every(([, level]) => level < LOUD * 1.01), "never louder");
});
