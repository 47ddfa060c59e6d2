// A track of an hour in Chromium: in step from its beginning, from its middle and to its end, across the pieces that it is
// decoded in. Prints how far off its clicks were, and what the page took of the machine's memory.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { clickTimes, median, quantile, stoodStillMs } from "./capture.js";
import { heard, house, inStep, open, startBox, startBrowser, startOf, tapped, until, wav, whyNot } from "./helpers.js";
import { cutUp, kinds } from "./kinds.js";

const skip = whyNot() || false;
const RATE_HZ = 16_000;
const SECONDS = 3_600;
/** So many clicks from where a cue begins; how often they come tells the place. Pieces end after 10 s, the first after a jump
 * within 2. */
const PARTS = {
  beginning: { go: 1, fromS: 0, everyS: 0.25, listenS: 12 },
  middle: { go: 2, fromS: 1_800, everyS: 0.2, listenS: 6 },
  end: { go: 3, fromS: 3_592, everyS: 0.3125, listenS: 8 },
};
/** Decoded whole, on a context of 48 kHz. */
const WHOLE_MB = (SECONDS * 48_000 * 4) / 1e6;
const FILE_MB = (SECONDS * RATE_HZ * 2) / 1e6;
/** Clicks of LAME's, some every half second: its whole file without the frame that says how long it is, over and over. */
const CLICKS = readFileSync(join(house, "tests/vectors/media/long.mp3"));
const MP3 = { times: 130, tagOctets: 192, fromS: 150, listenS: 8 };
const again = () => Buffer.concat(Array(MP3.times).fill(CLICKS.subarray(MP3.tagOctets)));
/** One part is looked for no further. */
const PART_S = 60;
let box;
let browser;

before(async () => {
  if (skip) return;
  box = await startBox(hour);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

function hour(folder) {
  mkdirSync(join(folder, "audio"), { recursive: true });
  writeFileSync(join(folder, "audio/hour.wav"), wav(RATE_HZ, RATE_HZ * SECONDS, sample));
  writeFileSync(join(folder, "audio/again.mp3"), again());
  const cue = ({ go, fromS, track = "hour" }) => `
[[list.cue]]
number = ${go}
name = "From ${fromS} s"
phones = { track = "${track}", start_at = "${fromS}s" }
`;
  writeFileSync(join(folder, "show.toml"), `
[show]
title = "An hour"

[tracks]
hour = "audio/hour.wav"
again = "audio/again.mp3"

[[list]]
name = "main"
${[...Object.values(PARTS), { go: 4, fromS: MP3.fromS, track: "again" }].map(cue).join("")}`);
  return folder;
}

/** A sample at full that dies away at once, as often as the part says. */
function sample(n) {
  const part = Object.values(PARTS).find(({ fromS }) => n >= fromS * RATE_HZ && n < (fromS + PART_S) * RATE_HZ);
  const since = part ? (n - part.fromS * RATE_HZ) % (part.everyS * RATE_HZ) : 4;
  return since < 4 ? 32_000 >> since : 0;
}

/** What the pages' processes hold, megabytes. */
async function heldMb() {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const held = processInfo.filter(({ type }) => type === "renderer").map(({ id }) => readFileSync(`/proc/${id}/status`, "utf8"));
  return held.reduce((sum, status) => sum + Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1e3, 0);
}

test("sx10: a track of an hour plays in step from its beginning, its middle and to its end, and is never held decoded", { skip, timeout: 180_000 }, async (t) => {
  const empty = await open(browser, "/healthz", box.port);
  const beforeMb = await heldMb();
  await empty.close();
  const page = await tapped(browser, box.port);
  t.after(() => page.close());
  await inStep(page);
  let mostMb = await heldMb();
  for (const [name, { fromS, everyS, listenS }] of Object.entries(PARTS)) {
    const first = (await heard(page)).clicks.length;
    await box.go();
    await until("clicks come", async () => (await heard(page)).clicks.length > first + 2, 40);
    const startMs = await startOf(browser, box.port);
    const enough = Math.floor(listenS / everyS) - 2;
    await until("enough are heard", async () => (await heard(page)).clicks.length >= first + enough, 40);
    mostMb = Math.max(mostMb, await heldMb());
    const ear = await heard(page);
    const aheadMs = await page.evaluate(() => window.downbeat.netMs() - performance.timeOrigin - performance.now());
    const places = clickTimes(ear).slice(first).map((ms) => (ms + aheadMs - startMs) / 1000 - fromS);
    // What the part before still sounds in the cross-fade is not this one's.
    const ours = places.filter((s) => s > -everyS / 2);
    const numbers = ours.map((s) => Math.round(s / everyS) + 0);
    assert.deepEqual(numbers, numbers.map((_, k) => numbers[0] + k), `${name}: each click once`);
    assert.ok(numbers[0] <= 1, `${name}: from its first clicks on, not ${numbers[0]}`);
    const off = ours.map((s, k) => (s - numbers[k] * everyS) * 1000);
    const still = stoodStillMs(ear, first);
    const p95 = quantile(off.map(Math.abs), 0.95);
    t.diagnostic(`${name}: ${off.length} clicks, middle ${median(off).toFixed(3)} ms off, p95 ${p95.toFixed(3)}; sound stood still for ${still.toFixed(1)} ms`);
    assert.ok(p95 < 5 + still, `${name} is ${p95} ms off`);
  }
  t.diagnostic(`an empty page holds ${beforeMb.toFixed(0)} MB, this one ${mostMb.toFixed(0)} at most, ${FILE_MB.toFixed(0)} MB of them the file; decoded whole it would be ${WHOLE_MB.toFixed(0)} more`);
  assert.ok(mostMb - beforeMb < WHOLE_MB, `${mostMb - beforeMb} MB more`);
  await until("it is over", async () => (await page.evaluate(() => window.downbeat.look().fare.doing)) === "ready", 40);
});

test("sx10: a piece of a FLAC, MP3 or Ogg file decodes to the very samples that the whole has there", { skip, timeout: 60_000 }, async () => {
  const page = await open(browser, "/healthz", box.port);
  for (const { name, bytes, off } of kinds()) {
    const { frames, pieces } = await page.evaluate(cutUp, bytes.toString("base64"));
    assert.equal(frames[0], frames[1], `${name}: the length it says`);
    for (const { from, first, worst } of pieces) assert.ok(first <= from && worst <= off, `${name} from ${from}, decoded from ${first} on: ${worst} off`);
  }
  await page.close();
});

test("sx10: an MP3 of more than five minutes is played by pieces, in step, each click where the whole has it", { skip, timeout: 120_000 }, async (t) => {
  const page = await tapped(browser, box.port);
  t.after(() => page.close());
  const reeled = () => page.evaluate(() => performance.getEntriesByName(`${location.origin}/page/mp3.js`).length > 0);
  await inStep(page);
  // Where the browser has them that decodes it whole.
  const placesS = await page.evaluate(async (base64) => {
    const file = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
    const samples = (await new OfflineAudioContext(1, 1, 48_000).decodeAudioData(file)).getChannelData(0);
    const found = [];
    for (let n = 0; n < samples.length; n += 1) if (Math.abs(samples[n]) > 0.4 && n > (found[found.length - 1] || -480) + 480) found.push(n);
    return found.map((n) => n / 48_000);
  }, again().toString("base64"));
  const first = (await heard(page)).clicks.length;
  await box.order("fire", { cue: "4" });
  await until("clicks come", async () => (await heard(page)).clicks.length > first + 2, 40);
  assert.ok(await reeled(), "it is cut");
  const startMs = await startOf(browser, box.port);
  const wanted = placesS.filter((s) => s > MP3.fromS + 1 && s < MP3.fromS + MP3.listenS);
  await until("enough are heard", async () => (await heard(page)).clicks.length >= first + wanted.length + 4, 40);
  const ear = await heard(page);
  const aheadMs = await page.evaluate(() => window.downbeat.netMs() - performance.timeOrigin - performance.now());
  const places = clickTimes(ear).slice(first).map((ms) => (ms + aheadMs - startMs) / 1000);
  const off = wanted.map((s) => places.reduce((best, it) => (Math.abs(it - s) < Math.abs(best) ? it - s : best), Infinity) * 1000);
  const between = places.filter((s) => s > wanted[0] - 0.1 && s < wanted[wanted.length - 1] + 0.1);
  const still = stoodStillMs(ear, first);
  const p95 = quantile(off, 0.95);
  t.diagnostic(`${wanted.length} clicks, middle ${median(off).toFixed(3)} ms off, p95 ${p95.toFixed(3)}; sound stood still for ${still.toFixed(1)} ms`);
  assert.equal(between.length, wanted.length, "each click once");
  assert.ok(p95 < 5 + still, `${p95} ms off`);
});
