// The oldest Chrome that row SX-18 names: Chromium 90, as npm has it packed for a cloud's small machines.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync } from "node:zlib";
import { clickTimes, median, stoodStillMs } from "./capture.js";
import {
  CLICK_EVERY_S, clickShow, heard, house, inStep, startBox, startChromium, startOf, startWire, stateOf, tapped, until, whyNot,
} from "./helpers.js";

const PACKED = join(house, "tests/page/node_modules/chrome-aws-lambda/bin/chromium.br");
const VERSION = "90.0.4427.0";
const PERIOD_MS = CLICK_EVERY_S * 1000;
const TRIES = 3;
const skip = whyNot() || (existsSync(PACKED) ? false : "no Chromium 90: `npm ci` in tests/page brings it");
let folder;
let path;

before(() => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), "downbeat-chromium-90-"));
  path = join(folder, "chromium");
  writeFileSync(path, brotliDecompressSync(readFileSync(PACKED)), { mode: 0o755 });
});

after(() => {
  if (folder) rmSync(folder, { recursive: true, force: true });
});

for (const file of ["audience.test.js", "load.test.js"]) {
  test(`sx18: Chromium 90 lives through ${file}`, { skip, timeout: 120_000 }, async (t) => {
    const { code, said } = await run(file);
    const [passed, skipped] = ["pass", "skipped"].map((word) => Number(new RegExp(`^# ${word} (\\d+)$`, "m").exec(said)[1]));
    assert.ok(code === 0 && passed > 0 && skipped === 0, said);
    t.diagnostic(`${passed} passed`);
  });
}

/** Node's own runner over a file, as if it were the first one; `CHROMIUM` tells it which browser to take. */
async function run(file) {
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const words = ["--test", "--test-reporter=tap", fileURLToPath(new URL(file, import.meta.url))];
  const child = spawn(process.execPath, words, { env: { ...env, CHROMIUM: path }, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (text) => { said += text; });
  const code = await new Promise((done) => { child.once("exit", done); });
  return { code, said };
}

test("sx18 sx10: a phone in Chromium 90 plays in its place, on over a cut, and complains of nothing", { skip, timeout: 120_000 }, async (t) => {
  const box = await startBox(clickShow);
  const wire = await startWire(box.port);
  const browser = await startChromium(path);
  try {
    assert.equal(browser.version(), VERSION);
    const page = await tapped(browser, wire.port);
    const complaints = [];
    page.on("pageerror", ({ message }) => complaints.push(message));
    page.on("console", (said) => { if (said.type() === "error") complaints.push(said.text()); });
    await inStep(page);
    await box.go();
    await box.go();
    const ear = await overACut(t, page, wire);
    if (!ear) return t.skip(`in each of ${TRIES} tries this machine starved the sound`);
    const startMs = await startOf(browser, box.port);
    const aheadMs = await page.evaluate(() => window.downbeat.netMs() - performance.timeOrigin - performance.now());
    const off = ear.times.map((ms) => apart(ms + aheadMs - startMs));
    const steps = ear.times.slice(1).map((ms, k) => ms - ear.times[k] - PERIOD_MS);
    t.diagnostic(`clicks are ${median(off).toFixed(3)} ms from their place, ${worst(off).toFixed(3)} at most; worst step over the cut ${worst(steps).toFixed(3)} ms`);
    assert.ok(worst(off) < 3, "in its place");
    assert.ok(worst(steps) < 1, "no click is lost, doubled or moved");
    // What was being asked for when the network went away.
    assert.deepEqual(complaints.filter((text) => !/ERR_|WebSocket/.test(text)), []);
  } finally {
    await browser.close();
    await wire.close();
    await box.stop();
  }
});

/** The clicks from before a cut until after it, once no sound stood still meanwhile; none if it does in every try. */
async function overACut(t, page, wire) {
  const counted = async () => (await heard(page)).clicks.length;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const before = await counted();
    await until("it plays", async () => (await counted()) > before + 8);
    wire.order("cut");
    wire.order("reset");
    await until("it says that it is alone", async () => (await stateOf(page)) === "on_own_clock");
    const alone = await counted();
    await until("it has played on alone", async () => (await counted()) > alone + 8);
    wire.order("heal");
    await inStep(page);
    const back = await counted();
    await until("it has played on together", async () => (await counted()) > back + 8);
    const ear = await heard(page);
    const first = before + 4;
    const stillMs = stoodStillMs(ear, first);
    if (stillMs === 0) return { times: clickTimes(ear).slice(first) };
    t.diagnostic(`the sound stood still for ${stillMs.toFixed(3)} ms: measured again`);
  }
  return null;
}

const worst = (values) => Math.max(...values.map(Math.abs));
/** The short way round the period. */
const apart = (ms) => ms - PERIOD_MS * Math.round(ms / PERIOD_MS);
