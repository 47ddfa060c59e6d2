// A phone shakes and lights its own lamp in Chromium. Its motor and its camera are ours: this machine has neither.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startBox, startBrowser, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
let box;
let browser;

function lampShow(folder) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "show.toml"), `
[show]
title = "Lamps"

[[list]]
name = "main"

[[list.cue]]
number = 1
name = "Thunder"
phones = { vibrate = "300ms", torch = true }

[[list.cue]]
number = 2
name = "Dark"
phones = { torch = false }
`);
  return folder;
}

before(async () => {
  if (skip) return;
  box = await startBox(lampShow);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

/** In the page: a motor and a camera that write down what they are told. */
function stubBody() {
  window.felt = [];
  window.lit = [];
  Object.defineProperty(Navigator.prototype, "vibrate", { value: (ms) => window.felt.push(ms) });
  const track = {
    getCapabilities: () => ({ torch: true }),
    addEventListener() {},
    applyConstraints: async ({ advanced: [{ torch }] }) => { window.lit.push(torch); },
  };
  const devices = { getSupportedConstraints: () => ({ torch: true }), getUserMedia: async () => ({ getVideoTracks: () => [track] }) };
  Object.defineProperty(Navigator.prototype, "mediaDevices", { value: devices });
}

async function enter(url, before = () => {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.addInitScript(stubBody);
  await page.addInitScript(before);
  await page.goto(url);
  await page.click("#tap");
  return page;
}

const felt = (page) => page.evaluate(() => window.felt);
const lit = (page) => page.evaluate(() => window.lit);

test("a phone shakes once and its lamp, once lent, is lit for as long as the show says", { skip, timeout: 60_000 }, async () => {
  const page = await enter(`https://localhost:${box.securePort}/`);
  await page.click("#lend");
  await until("it is lent", async () => page.isHidden("#lend"));
  await box.go();
  await until("it is lit", async () => (await lit(page)).length === 1);
  const shakes = await felt(page);
  assert.ok(shakes.length === 1 && shakes[0] > 150 && shakes[0] <= 300, `${shakes}`);
  const late = await enter(`https://localhost:${box.securePort}/`);
  await late.click("#lend");
  await until("who comes later is lit, too", async () => (await lit(late)).length === 1);
  assert.deepEqual(await felt(late), [], "and is not shaken");
  await box.go();
  await until("both are dark", async () => [await lit(page), await lit(late)].every((it) => it.at(-1) === false));
  assert.deepEqual(await felt(page), shakes);
  await Promise.all([page, late].map((it) => it.context().close()));
});

test("who does not lend a lamp, or whose browser says no, is not asked again", { skip, timeout: 60_000 }, async () => {
  const busy = await enter(`https://localhost:${box.securePort}/`);
  await busy.click("#lend-not");
  assert.ok(await busy.isHidden("#lending"));
  const wary = await enter(`https://localhost:${box.securePort}/`, () => {
    navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
  });
  await wary.click("#lend");
  await until("it is taken as said", async () => wary.isHidden("#lending"));
  await Promise.all([busy, wary].map((it) => it.context().close()));
});

test("over plain HTTP nobody is asked for a lamp", { skip, timeout: 60_000 }, async () => {
  // Loopback is secure enough for browsers; a phone's way to the box is not.
  const page = await enter(`http://localhost:${box.port}/`, () => Object.defineProperty(window, "isSecureContext", { value: false }));
  await until("it is in", async () => page.isHidden("#door"));
  assert.ok(await page.isHidden("#lend"));
  await page.context().close();
});
