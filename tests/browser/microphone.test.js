// The page's ear in Chromium: a file stands for what its microphone hears, a stub for what the box's hears.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { clickShow, startBox, startBrowser, wav, whyNot } from "./helpers.js";

const skip = whyNot() || false;
const RATE_HZ = 48_000;
const STEP_S = 0.6;
/** In the file the phone is heard so much later than the middle of the box's chirps; the box says so much of its own. */
const HERE_MS = 20;
const THERE_MS = 30;

/** `wire::chirp` in the words of another language: 2 to 7 kHz in 80 ms, swelling and fading; the phone's falls. */
function chirp(rising, secs) {
  const share = secs / 0.08;
  if (share < 0 || share >= 1) return 0;
  const [from, to] = rising ? [2000, 7000] : [7000, 2000];
  return Math.sin(Math.PI * share) ** 2 * Math.sin(2 * Math.PI * secs * (from + ((to - from) * share) / 2));
}

/** Both by turns for half a minute, all of it 300 ms late, as if microphones were slow. */
function duet() {
  return wav(RATE_HZ, RATE_HZ * 30, (n) => {
    const turn = Math.floor((n / RATE_HZ - 0.25) / STEP_S);
    const late = 0.3 + (turn % 2 === 1 ? HERE_MS / 1000 : 0);
    const sample = 0.4 * chirp(turn % 2 === 0, n / RATE_HZ - turn * STEP_S - late);
    const hiss = 0.01 * (Math.random() - 0.5);
    return Math.round((sample + hiss) * 32_767);
  });
}

test("sx20: the page hears chirps through its microphone and finds how late it is", { skip, timeout: 90_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "downbeat-ear-"));
  const file = join(folder, "duet.wav");
  writeFileSync(file, duet());
  const box = await startBox(clickShow);
  const browser = await startBrowser(
    null,
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    `--use-file-for-fake-audio-capture=${file}%noloop`,
  );
  try {
    const page = await browser.newPage();
    await page.goto(`http://localhost:${box.port}/`);
    const found = await page.evaluate(calibrate, { stepS: STEP_S, thereMs: THERE_MS });
    t.diagnostic(`${found.ears}; late by ${found.lateMs} ms; ${found.peak.toFixed(2)} of full scale was recorded`);
    assert.equal(found.ears, "ready");
    assert.ok(found.peak > 0.1, "the microphone was heard");
    assert.ok(Math.abs(found.lateMs - (HERE_MS + THERE_MS) / 2) < 0.3, `${found.lateMs} ms`);
    assert.match(found.kept, /"calibrated":\{"delay_ms":2[45]/);
  } finally {
    await browser.close();
    await box.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Runs in the page: its own modules around a core whose box is a stub with a perfect clock. */
async function calibrate({ stepS, thereMs }) {
  const [{ beginCore }, { createSound }, { createMicrophone }] = await Promise.all(
    ["core", "sound", "microphone"].map((name) => import(`/page/${name}.js`)),
  );
  const nowMs = () => performance.now();
  const net = () => (1_790_000_000_000 + nowMs()) / 1000;
  const found = { ears: "", lateMs: NaN, kept: "", peak: 0 };
  const wasm = await (await fetch("/page/core.wasm")).arrayBuffer();
  const core = await beginCore(wasm, nowMs(), { chance: "07", unix_ms: Date.now(), role: "phone" });
  let sequence = 0;
  let turn = null;

  function hear(type, fields) {
    sequence += 1;
    const id = `00000000-0000-4000-8000-${String(sequence).padStart(12, "0")}`;
    const header = { id, timestamp: net(), node_id: "00000000-0000-4000-8000-00000000ffff", sequence };
    tell({ event: "heard", text: JSON.stringify({ type, header, ...fields }) });
  }
  function tell(event) { take(core.handle(nowMs(), event)); }
  function take(given) {
    turn = given;
    given.acts.forEach(perform);
  }
  function perform(act) {
    if (act.act === "keep") found.kept = act.text;
    else if (act.act === "listen" || act.act === "deafen") microphone.perform(act);
    else if (act.act === "chirp") sound.perform(act);
    else if (act.act === "send") answer(JSON.parse(act.text));
    else if (act.act === "ask") answer(JSON.parse(act.head + (nowMs() / 1000).toFixed(9) + act.tail));
  }
  function answer(said) {
    if (said.type === "clock_sync") {
      const at = net();
      queueMicrotask(() => hear("clock_sync_response", { t1: said.t1, t2: at, t3: at }));
    }
    if (said.type === "calibrate") {
      // The file began when the microphone was opened; the turns are laid where its own are.
      const turns = (from, count) => Array.from({ length: count }, (_, k) => openedS + 4 * stepS + (from + 2 * k) * stepS);
      const start = { box_at: turns(0, 6), phone_at: turns(1, 5) };
      queueMicrotask(() => hear("calibrate_start", start));
    }
  }
  const sound = createSound({
    AudioContext, fetch: (url) => fetch(url), tell, chirp: (rateHz) => core.chirp(rateHz),
  });
  const microphone = createMicrophone({
    isSecure: isSecureContext, mediaDevices: navigator.mediaDevices, context: () => sound.context(),
    handIn(rateHz, fromS, samples) {
      found.peak = samples.reduce((most, it) => Math.max(most, Math.abs(it)), 0);
      take(core.recorded(nowMs(), rateHz, fromS, samples));
      hear("calibrate_heard", { later_ms: [thereMs, thereMs, thereMs, thereMs, thereMs] });
    },
  });
  await sound.wake();
  tell({ event: "tapped" });
  tell({ event: "opened" });
  hear("hello", {
    protocol_version: "0.1.0", capabilities: [], node_type: "master",
    cluster_info: { master_id: "00000000-0000-4000-8000-00000000ffff", replica_ids: [] },
    show: { title: "Ear", tracks: [] },
  });
  const looks = setInterval(() => tell(sound.look()), 60);
  await new Promise((done) => { setTimeout(done, 3000); });
  found.ears = await microphone.open();
  const openedS = net();
  tell({ event: "calibrate", microphone: found.ears });
  const endsMs = nowMs() + 25_000;
  while (turn.look.duet.is_on && nowMs() < endsMs) await new Promise((done) => { setTimeout(done, 100); });
  clearInterval(looks);
  found.lateMs = turn.look.duet.news.late_ms;
  return found;
}
