// How far apart two phones play the same click. Prints one JSON document; `tools bench pages` runs it.
//
// Two Chromium processes, a page each, and a real box whose click track they play. An AudioWorklet at each page's
// output (capture.js) tells the frame in which it sees each click; the page's output stamps say when a frame
// leaves, by the monotonic clock that both processes have in common (`timeOrigin` ties each page's own zero to
// it), so the two times of one click can be taken from each other.
//
// First into no sound card at all, where Chromium paces itself by that same clock: what is left is the phones' own
// error. Then through PulseAudio, where the same clicks are also looked for in what it mixed (pulse.js): what the
// sound server's buffers and wrong stamps add is in that figure, and no phone can know it.

import { loadavg } from "node:os";
import { between, clickTimes, quantile, stoodStillMs } from "./capture.js";
import { clickShow, heard, inStep, startBox, startBrowser, tapped, whyNot } from "./helpers.js";
import { SINKS, startPulse, whyNoPulse } from "./pulse.js";

const seconds = Number(process.argv[2]);
/** A phone knows its sound card's rate by then. */
const WARM_S = 15;
const wait = (s) => new Promise((done) => { setTimeout(done, s * 1000); });

const reason = whyNot() || (seconds > 0 ? null : "usage: node output.js SECONDS");
if (reason) {
  console.error(reason);
  process.exit(1);
}
console.log(JSON.stringify(await measure()));

async function measure() {
  const load_before = loadavg();
  const pulse_absent = whyNoPulse();
  const rows = await into(null);
  if (!pulse_absent) {
    const pulse = await startPulse();
    try {
      rows.push(...await into(pulse));
    } finally {
      await pulse.stop();
    }
  }
  return { seconds, load_before, load_after: loadavg(), pulse_absent, rows };
}

/** The rows of one way out: as the worklets saw it, then as PulseAudio mixed it. */
async function into(pulse) {
  const box = await startBox(clickShow);
  const browsers = await Promise.all(SINKS.map((sink) => startBrowser(pulse && { server: pulse.server, sink })));
  try {
    const pages = await Promise.all(browsers.map((browser) => tapped(browser, box.port)));
    await Promise.all(pages.map(inStep));
    await box.go();
    await box.go();
    await wait(WARM_S);
    const recording = pulse && pulse.record();
    const firsts = (await Promise.all(pages.map(heard))).map(({ clicks }) => clicks.length);
    await wait(seconds);
    const mixed = recording && (await recording.stop());
    const all = await Promise.all(pages.map(heard));
    const times = all.map((it, k) => clickTimes(it).slice(firsts[k]));
    const stood_still_ms = Math.max(...all.map((it, k) => stoodStillMs(it, firsts[k])));
    const output = pulse ? "pulse" : "none";
    const rows = [{ output, seen_by: "worklet", stood_still_ms, ...spread(between(...times)) }];
    if (mixed) rows.push({ output, seen_by: "recording", stood_still_ms, ...spread(between(...mixed.map(inMs))) });
    return rows;
  } finally {
    await Promise.all(browsers.map((browser) => browser.close()));
    await box.stop();
  }
}

function inMs(list) {
  return list.map((s) => s * 1000);
}

function spread(apart) {
  if (apart.length < seconds) throw new Error(`only ${apart.length} clicks were heard by both in ${seconds} s`);
  const [p50_ms, p95_ms, max_ms] = [0.5, 0.95, 1].map((part) => quantile(apart, part));
  return { clicks: apart.length, p50_ms, p95_ms, max_ms };
}
