// Two phones in Chromium and a real box: what they play, show and say. Prints what it measured.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, clickTimes, median } from "./capture.js";
import { CLICK_EVERY_S, clickShow, house, startBox, startBrowser, startWire, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
const PERIOD_MS = CLICK_EVERY_S * 1000;
let box;
let wire;
let browser;

before(async () => {
  if (skip) return;
  box = await startBox(clickShow);
  wire = await startWire(box.port);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (wire) wire.close();
  if (box) await box.stop();
});

/** The page as anybody opens it; with an ear, which the page's own security policy would not let in. */
async function open(path, port, { ear = false } = {}) {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 }, bypassCSP: ear });
  if (ear) await page.addInitScript(capture);
  await page.goto(`http://localhost:${port}${path}`);
  return page;
}

async function tapped(port) {
  const page = await open("/", port, { ear: true });
  await page.click("#tap");
  return page;
}

const lineOf = (page) => page.textContent("#line");
const colorOf = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const inStep = (page) => until("the page is in step", async () => /^in step/.test(await lineOf(page)));
const heard = async (page) => page.evaluate(() => window.heard());

/** How far each click is from the first page's, the short way round the quarter second. */
function apart(times, base) {
  return times.map((time) => {
    const over = (((time - base) % PERIOD_MS) + PERIOD_MS) % PERIOD_MS;
    return over > PERIOD_MS / 2 ? over - PERIOD_MS : over;
  });
}

const worst = (values) => Math.max(...values.map(Math.abs));
const shown = (ms) => `${ms.toFixed(3)} ms`;

test("sx01 sx10 sx19: phones in a browser", { skip, timeout: 120_000 }, async (t) => {
  const pages = await Promise.all([tapped(wire.port), tapped(box.port)]);
  const screen = await open("/screen", box.port);
  await Promise.all([...pages, screen].map(inStep));

  await t.test("a screen and the phones take the cue's colour and words", async () => {
    await box.go();
    for (const page of [...pages, screen]) {
      await until("the colour is there", async () => (await colorOf(page)) === "rgb(255, 144, 48)");
      assert.equal(await page.textContent("#words"), "Good evening");
    }
  });

  await t.test("sx01: two pages and the box agree on when the same click is played", async () => {
    await box.go();
    await until("both have heard 40 clicks", async () => {
      const counts = await Promise.all(pages.map(async (page) => (await heard(page)).clicks.length));
      return counts.every((count) => count > 40);
    }, 40);
    const [one, two] = (await Promise.all(pages.map(heard))).map(clickTimes).map((times) => times.slice(-32));
    const between = apart(two, one[0]).map((ms, k) => ms - (apart(one, one[0])[k] || 0));
    const grid = await startOf();
    const [first, second] = [one, two].map((times) => apart(times, grid));
    t.diagnostic(`page to page: middle ${shown(median(between))}, worst ${shown(worst(between))}`);
    t.diagnostic(`page to box: ${shown(median(first))} and ${shown(median(second))}, worst ${shown(worst([...first, ...second]))}`);
    assert.ok(worst(between) < 2, "two pages");
    assert.ok(worst([...first, ...second]) < 3, "page and box");
  });

  await t.test("sx10: a socket killed mid-track comes back in place within a millisecond", async () => {
    const earlier = clickTimes(await heard(pages[0])).slice(-8);
    const count = (await heard(pages[0])).clicks.length;
    wire.cut();
    await until("the phone says that it is alone", async () => /own clock/.test(await lineOf(pages[0])));
    await until("it has played on alone", async () => (await heard(pages[0])).clicks.length > count + 8);
    wire.mend();
    await inStep(pages[0]);
    const back = (await heard(pages[0])).clicks.length;
    await until("it has played on together", async () => (await heard(pages[0])).clicks.length > back + 24);
    const all = await heard(pages[0]);
    const times = clickTimes(all).slice(count);
    const steps = times.slice(1).map((time, k) => time - times[k] - PERIOD_MS);
    const drift = apart(times, earlier[0]).map((ms) => ms - median(apart(earlier, earlier[0])));
    t.diagnostic(`over the cut: worst step ${shown(worst(steps))}, worst drift ${shown(worst(drift))}`);
    assert.ok(worst(steps) < 1, "no click is lost, doubled or moved");
    assert.ok(worst(drift) < 1, "it is where it was");
  });

  await t.test("a phone that joins in the middle starts in the middle", async () => {
    const late = await tapped(box.port);
    await until("it has heard 24 clicks", async () => (await heard(late)).clicks.length > 24, 30);
    const grid = await startOf();
    const times = apart(clickTimes(await heard(late)).slice(-12), grid);
    t.diagnostic(`late phone to box: ${shown(median(times))}, worst ${shown(worst(times))}`);
    assert.ok(worst(times) < 3);
    await late.close();
  });

  await t.test("stop silences the phones", async () => {
    await box.command("stop");
    await until("nothing more is heard", async () => {
      const count = (await heard(pages[1])).clicks.length;
      await pages[1].waitForTimeout(4 * PERIOD_MS);
      return (await heard(pages[1])).clicks.length === count;
    });
  });

  /** When the box wants the clicks, UNIX milliseconds: the order's own `start_at`, as a late phone gets it. */
  async function startOf() {
    const page = await browser.newPage();
    await page.goto(`http://localhost:${box.port}/screen`);
    const startS = await page.evaluate(() => new Promise((done) => {
      const socket = new WebSocket(`ws://${location.host}/ws`);
      const id = () => "00000000-0000-4000-8000-000000000000".replace(/0/g, () => Math.floor(Math.random() * 10));
      const header = { id: id(), timestamp: Date.now() / 1000, node_id: id(), sequence: 1 };
      socket.onmessage = ({ data }) => {
        const said = JSON.parse(data);
        if (said.type === "media_control" && said.action === "play") done(said.start_at - (said.params.position_ms || 0) / 1000);
      };
      socket.onopen = () => socket.send(JSON.stringify({
        type: "hello", header, protocol_version: "0.1.0", capabilities: ["audio"], node_type: "client",
      }));
    }));
    await page.close();
    return startS * 1000;
  }
});

test("a browser at the demo sees its screen take the first cue's colour", { skip, timeout: 60_000 }, async () => {
  const folder = join(house, "config/demo");
  const [, wanted] = /phones = \{ color = "(#[0-9a-f]{6})"/.exec(readFileSync(join(folder, "show.toml"), "utf8"));
  const demo = await startBox(folder);
  try {
    const screen = await open("/screen", demo.port);
    await inStep(screen);
    await demo.go();
    await until("the colour is there", async () => hex(await colorOf(screen)) === wanted);
    await screen.close();
  } finally {
    await demo.stop();
  }
});

/** `rgb(255, 144, 48)` as `#ff9030`. */
function hex(color) {
  const parts = color.match(/\d+/g).map((part) => Number(part).toString(16).padStart(2, "0"));
  return `#${parts.join("")}`;
}
