// The page in Safari's engine, of today (WebKitGTK) and of the year of Safari 16 (WPE), as an audience meets it. Prints what
// it measured. What only iPhones have (their sound card, their lock screen, peer connections) is not met here.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CLICK_EVERY_S, clickShow, inStep, startBox, startBy, startWire, stateOf, until, whyNot } from "./helpers.js";
import { cutUp, kinds } from "./kinds.js";
import { startPulse, whyNoPulse } from "./pulse.js";
import { engines, startWebKit, whyNoWebKit } from "./webkit.js";

const PERIOD_MS = CLICK_EVERY_S * 1000;
const TRIES = 3;
const IN_ROW = 4;
/** WPE makes its sound in blocks of 23 ms, and the phone, which is told of no latency here, sees through them to some. */
const PLACE_MS = 10;
/** A signed 16-bit sample's step: decoders round one way or the other. */
const STEP = 1 / 32_768;
const skip = whyNot() || whyNoPulse() || false;
let box;
let pulse;
let wire;

before(async () => {
  if (skip) return;
  [box, pulse] = await Promise.all([startBox(clickShow), startPulse()]);
  wire = await startWire(box.port);
  await box.go();
  await box.go();
});

after(async () => {
  if (wire) await wire.close();
  if (pulse) await pulse.stop();
  if (box) await box.stop();
});

/** Nothing is complained of, `watch` being done to the page in time. */
async function assertSilent(page) {
  assert.deepEqual(await page.evaluate(() => window.complaints), []);
}

/** In the page: keeps what it complains of, and what it orders of its context. */
function watch() {
  window.complaints = [];
  console.error = (...said) => { window.complaints.push(said.join(" ")); };
  window.addEventListener("error", ({ message }) => { window.complaints.push(message); });
  window.addEventListener("unhandledrejection", ({ reason }) => { window.complaints.push(`${reason}`); });
  const { start } = AudioBufferSourceNode.prototype;
  AudioBufferSourceNode.prototype.start = function begin(atS = 0, placeS = 0) {
    window.order = { context: this.context, rate: this.playbackRate, legs: [{ atS, placeS, rate: this.playbackRate.value }] };
    return start.call(this, atS, placeS);
  };
  const { setValueAtTime } = AudioParam.prototype;
  AudioParam.prototype.setValueAtTime = function set(rate, atS) {
    const { rate: ours, legs } = window.order || {};
    const before = legs && legs[legs.length - 1];
    if (this === ours) legs.push({ atS, placeS: before.placeS + (atS - before.atS) * before.rate, rate });
    return setValueAtTime.call(this, rate, atS);
  };
}

/**
 * In the page: when its track began by what it last ordered of it, network time in milliseconds. `currentTime` stands still
 * between blocks, so of many looks the one that is furthest ahead is true.
 */
async function began() {
  const { context, legs } = window.order;
  let aheadMs = -Infinity;
  for (let looks = 0; looks < 50; looks += 1) {
    await new Promise((done) => { setTimeout(done, 4); });
    aheadMs = Math.max(aheadMs, context.currentTime * 1000 - performance.now());
  }
  const nowS = (performance.now() + aheadMs) / 1000;
  const leg = legs.filter(({ atS }) => atS <= nowS).pop() || legs[0];
  return window.downbeat.netMs() - (leg.placeS + (nowS - leg.atS) * leg.rate) * 1000;
}

/** The short way round the period. */
const apart = (ms) => ms - PERIOD_MS * Math.round(ms / PERIOD_MS);
const shown = (ms) => `${ms.toFixed(2)} ms`;

/** The worst step from click to click of what is recorded while `meanwhile` is done. */
async function worstStep(meanwhile) {
  const recording = pulse.record();
  await meanwhile();
  const [clicks] = await recording.stop();
  assert.ok(clicks.length > 4, `${clicks.length} clicks were heard`);
  return Math.max(...clicks.slice(1).map((s, k) => Math.abs((s - clicks[k]) * 1000 - PERIOD_MS)));
}

for (const engine of engines) {
  test(`sx18: ${engine}`, { skip: skip || whyNoWebKit(engine) || false, timeout: 90_000 }, async (t) => {
    const browser = await startWebKit(engine, { server: pulse.server, sink: "left" });
    t.diagnostic(`WebKit ${browser.version}`);
    try {
      await t.test("sx18 sx10: a phone comes in by a tap, finds the time, plays in its place, and plays on over a cut", async (t) => {
        const page = await browser.open(`http://localhost:${wire.port}/`);
        await page.evaluate(watch);
        await until("it may be tapped", async () => (await stateOf(page)) === "tap_to_start");
        await page.click("#tap");
        await inStep(page);
        await until("it plays", async () => (await page.getAttribute("body", "data-doing")) === "playing");
        assert.equal(await page.textContent("#words"), "Good evening");
        const startMs = await startBy(page);
        // Their clock of sound leaps when the first of it is heard.
        let inRow = 0;
        const off = await until("it is in its place, and stays", async () => {
          const ms = apart((await page.evaluate(began)) - startMs);
          inRow = Math.abs(ms) < PLACE_MS ? inRow + 1 : 0;
          return inRow === IN_ROW && shown(ms);
        });
        t.diagnostic(`by its own clock the track is ${off} from where it is to be`);
        let worst = Infinity;
        for (let tries = 0; tries < TRIES && worst > 1; tries += 1) {
          worst = await worstStep(() => cut(page));
          t.diagnostic(`worst step from click to click over a cut, as PulseAudio mixed it: ${shown(worst)}`);
        }
        assert.ok(worst < 1, `${worst} ms in the best of ${TRIES} tries`);
        await assertSilent(page);
      });

      await t.test("sx18: whose browser cannot decode a track is told so, is in step, and has all else", async () => {
        const page = await browser.open(`http://localhost:${box.port}/`);
        await page.evaluate(watch);
        await page.evaluate(() => { BaseAudioContext.prototype.decodeAudioData = (_, __, failed) => { failed(new Error("no such codec")); }; });
        await until("it may be tapped", async () => (await stateOf(page)) === "tap_to_start");
        await page.click("#tap");
        await inStep(page);
        await until("it is told", () => page.evaluate(() => document.getElementById("hint").getClientRects().length > 0));
        assert.equal(await page.textContent("#hint"), "This browser cannot play everything in this show.");
        assert.equal(await page.textContent("#words"), "Good evening");
        await assertSilent(page);
      });

      await t.test("sx18: over TLS, whose certificate is the box's own, a phone and a screen are in step", async () => {
        for (const path of ["/", "/screen"]) {
          const page = await browser.open(`https://localhost:${box.securePort}${path}`);
          await page.evaluate(watch);
          if (path === "/") {
            await until("it may be tapped", async () => (await stateOf(page)) === "tap_to_start");
            await page.click("#tap");
          }
          await inStep(page);
          assert.equal(await page.textContent("#words"), "Good evening");
          await assertSilent(page);
        }
      });

      await t.test("sx18 sx10: FLAC, MP3 and Ogg files decode to as much as they say, and pieces of them to what the whole has there", async () => {
        const page = await browser.open(`http://localhost:${box.port}/healthz`);
        for (const { name, bytes, off } of kinds()) {
          const { frames, pieces } = await page.evaluate(cutUp, bytes.toString("base64"));
          assert.ok(Math.abs(frames[0] - frames[1]) <= 1, `${name}: ${frames[0]} samples, and it says ${frames[1]}`);
          // GStreamer finds a sample more at the end of Vorbis than there is: its last piece is one too late.
          const sure = frames[0] === frames[1] ? pieces : pieces.slice(0, -1);
          for (const { from, first, worst } of sure) assert.ok(first <= from && worst <= off + STEP, `${name} from ${from}, decoded from ${first} on: ${worst} off`);
        }
      });
    } finally {
      await browser.close();
    }
  });
}

/** The network is away for some clicks. */
async function cut(page) {
  wire.order("cut");
  wire.order("reset");
  await until("it says that it is alone", async () => (await stateOf(page)) === "on_own_clock");
  const count = await soon(page);
  await until("it has played on alone", async () => (await soon(page)) > count + 4);
  wire.order("heal");
  await inStep(page);
  const back = await soon(page);
  await until("it has played on together", async () => (await soon(page)) > back + 4);
}

/** How many clicks its context could have played. */
const soon = (page) => page.evaluate((everyS) => window.order.context.currentTime / everyS, CLICK_EVERY_S);
