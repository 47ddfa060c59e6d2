// Two phones in Chromium and a real box: what they play, show and say. Prints what it measured.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { between, clickTimes, median, quantile, stoodStillMs } from "./capture.js";
import {
  CLICK_EVERY_S, clickShow, heard, house, inStep, open as openIn, startBox, startBrowser, startOf, startWire,
  stateOf, tapped as tappedIn, until, whyNot,
} from "./helpers.js";

const skip = whyNot() || false;
const PERIOD_MS = CLICK_EVERY_S * 1000;
/** How far back a measurement may begin. */
const BEFORE = 10;
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
  if (wire) await wire.close();
  if (box) await box.stop();
});

const open = (path, port, how) => openIn(browser, path, port, how);
const tapped = (port) => tappedIn(browser, port);
const colorOf = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

/** How far each click is from the first page's, the short way round the quarter second. */
function apart(times, base) {
  return times.map((time) => {
    const over = (((time - base) % PERIOD_MS) + PERIOD_MS) % PERIOD_MS;
    return over > PERIOD_MS / 2 ? over - PERIOD_MS : over;
  });
}

/**
 * What `measure` heard of the pages, `{ heard: [[capture, first click that counts], …], … }`, once no sound stood still
 * meanwhile. A sound process that this machine starved is no fault of a phone: once the phone has made it good it is
 * measured again, then skipped with the reason.
 */
async function steadily(t, pages, measure) {
  let stillMs = 0;
  for (let tries = 0; tries < 3; tries += 1) {
    const measured = await measure();
    stillMs = Math.max(...measured.heard.map(([all, first]) => stoodStillMs(all, first)));
    if (stillMs === 0) return measured;
    t.diagnostic(`the sound stood still for ${shown(stillMs)}: measured again`);
    await until("it is made good", async () => {
      const all = await Promise.all(pages.map(heard));
      return all.every((it) => stoodStillMs(it, it.clicks.length - BEFORE) === 0);
    }, 30);
  }
  t.skip(`in each of three tries this machine starved the sound, last for ${shown(stillMs)}`);
  return null;
}

/** What was heard from a click on, and nothing of what was before: over a call the sound stood still. */
function since(all, click) {
  const fromS = all.clicks[click].audioS - 0.1;
  return { ...all, clicks: all.clicks.slice(click), stamps: all.stamps.filter(({ contextTime }) => contextTime > fromS) };
}

/** In the page: keeps its context for who calls, and when each piece begins after the last tap. */
function keepContext() {
  const { resume } = AudioContext.prototype;
  const { start } = AudioBufferSourceNode.prototype;
  window.begun = [];
  let tappedMs = 0;
  AudioContext.prototype.resume = function resumed() {
    [window.context, tappedMs] = [this, performance.now()];
    return resume.call(this);
  };
  AudioBufferSourceNode.prototype.start = function begin(atS = 0, ...rest) {
    window.begun.push({ silentMs: performance.now() + Math.max(0, atS - this.context.currentTime) * 1000 - tappedMs });
    return start.call(this, atS, ...rest);
  };
}

const worst = (values) => Math.max(...values.map(Math.abs));
const shown = (ms) => `${ms.toFixed(3)} ms`;

test("sx12: a phone is ready before its holder taps, as soon as its tracks have come, and the box is told", { skip, timeout: 60_000 }, async () => {
  const said = async () => (await box.command("phones")).stdout;
  const failing = await browser.newPage();
  await failing.route("**/media/*", (route) => route.abort());
  await failing.goto(`http://localhost:${box.port}/`);
  await until("the box knows what it lacks", async () => (await said()).includes("0 of 1"));
  assert.equal(await failing.textContent("#line"), "Loading 0 of 1 …");
  await failing.close();
  const page = await open("/", box.port);
  await until("it says so", async () => (await page.textContent("#line")) === "Ready: tap, and you are in");
  await until("the box knows", async () => (await said()).includes("1 of 1"));
  assert.equal(await stateOf(page), "tap_to_start");
  await page.close();
});

test("sx01 sx10 sx19: phones in a browser", { skip, timeout: 240_000, concurrency: true }, async (t) => {
  // The wire that can be cut delays one direction more than the other on a busy machine: one phone hangs by it.
  const [wired, ...pages] = await Promise.all([wire.port, box.port, box.port].map(tapped));
  const screen = await open("/screen", box.port);
  await Promise.all([wired, ...pages, screen].map(inStep));

  await t.test("a screen and the phones take the cue's colour and words", async () => {
    await box.go();
    for (const page of [wired, ...pages, screen]) {
      await until("the colour is there", async () => (await colorOf(page)) === "rgb(255, 144, 48)");
      assert.equal(await page.textContent("#words"), "Good evening");
    }
  });

  await t.test("sx01: two pages and the box agree on when the same click is played", async (t) => {
    await box.go();
    const measured = await steadily(t, pages, async () => {
      const begun = await Promise.all(pages.map(async (page) => (await heard(page)).clicks.length));
      await until("both have heard 40 clicks", async () => {
        const counts = await Promise.all(pages.map(async (page) => (await heard(page)).clicks.length));
        return counts.every((count, k) => count > begun[k] + 40);
      }, 40);
      const all = await Promise.all(pages.map(heard));
      return { heard: all.map((it) => [it, it.clicks.length - 32]) };
    });
    if (!measured) return;
    const [one, two] = measured.heard.map(([all, first]) => clickTimes(all).slice(first));
    const pairs = between(one, two);
    const grid = await startOf(browser, box.port);
    const [first, second] = [one, two].map((times) => apart(times, grid));
    t.diagnostic(`page to page: p95 ${shown(quantile(pairs, 0.95))}, worst ${shown(worst(pairs))}`);
    t.diagnostic(`page to box: ${shown(median(first))} and ${shown(median(second))}, worst ${shown(worst([...first, ...second]))}`);
    assert.ok(pairs.length > 24, "most clicks have a partner");
    assert.ok(quantile(pairs, 0.95) < 0.5 && worst(pairs) < 2, "two pages");
    assert.ok(worst([...first, ...second]) < 3, "page and box");
  });

  const cut = t.test("sx10: a socket killed mid-track comes back in place within a millisecond", async (t) => {
    const measured = await steadily(t, [wired], async () => {
      const count = (await heard(wired)).clicks.length;
      wire.order("cut");
      wire.order("reset");
      await until("the phone says that it is alone", async () => (await stateOf(wired)) === "on_own_clock");
      await until("it has played on alone", async () => (await heard(wired)).clicks.length > count + 8);
      wire.order("heal");
      await inStep(wired);
      const back = (await heard(wired)).clicks.length;
      await until("it has played on together", async () => (await heard(wired)).clicks.length > back + 24);
      return { count, heard: [[await heard(wired), count - 8]] };
    });
    if (!measured) return;
    const { count, heard: [[all]] } = measured;
    const earlier = clickTimes(all).slice(count - 8, count);
    const times = clickTimes(all).slice(count);
    const steps = times.slice(1).map((time, k) => time - times[k] - PERIOD_MS);
    const drift = apart(times, earlier[0]).map((ms) => ms - median(apart(earlier, earlier[0])));
    t.diagnostic(`over the cut: worst step ${shown(worst(steps))}, worst drift ${shown(worst(drift))}`);
    assert.ok(worst(steps) < 1, "no click is lost, doubled or moved");
    assert.ok(worst(drift) < 1, "it is where it was");
  });

  const joins = t.test("a phone that joins in the middle starts in the middle", async (t) => {
    const late = await tapped(box.port);
    const measured = await steadily(t, [late], async () => {
      const begun = (await heard(late)).clicks.length;
      await until("it has heard 24 clicks", async () => (await heard(late)).clicks.length > begun + 24, 30);
      const all = await heard(late);
      return { heard: [[all, all.clicks.length - 12]] };
    });
    await late.close();
    if (!measured) return;
    const [[all, first]] = measured.heard;
    const grid = await startOf(browser, box.port);
    const times = apart(clickTimes(all).slice(first), grid);
    t.diagnostic(`late phone to box: ${shown(median(times))}, worst ${shown(worst(times))}`);
    assert.ok(worst(times) < 3);
  });
  await Promise.all([cut, joins]);

  await t.test("after a call sound is back soon after the tap, and in its place", async (t) => {
    const page = await openIn(browser, "/", box.port, { ear: true, before: keepContext });
    await page.click("#tap");
    await until("it plays", async () => (await heard(page)).clicks.length > 20, 30);
    for (const callS of [3, 12]) {
      await page.evaluate(() => window.context.suspend());
      await until("it asks for a tap", async () => (await stateOf(page)) === "tap_to_wake");
      await page.waitForTimeout(callS * 1000);
      await page.evaluate(() => { window.begun.length = 0; });
      await page.click("#tap");
      const { silentMs } = await until("sound is back", () => page.evaluate(() => window.begun[0]));
      t.diagnostic(`after a call of ${callS} s: ${silentMs.toFixed(0)} ms of silence from the tap on`);
      assert.ok(silentMs < 600, `${silentMs} ms`);
      const from = (await heard(page)).clicks.length;
      const measured = await steadily(t, [page], async () => {
        await until("it has heard 24 clicks", async () => (await heard(page)).clicks.length > from + 24, 30);
        const all = await heard(page);
        return { heard: [[since(all, from), 4]] };
      });
      if (!measured) continue;
      const [[all, first]] = measured.heard;
      const times = apart(clickTimes(all).slice(first), await startOf(browser, box.port));
      t.diagnostic(`and then to the box: ${shown(median(times))}, worst ${shown(worst(times))}`);
      assert.ok(worst(times) < 3, "in its place");
    }
    await page.close();
  });

  await t.test("stop silences the phones", async () => {
    await box.command("stop");
    await until("nothing more is heard", async () => {
      const count = (await heard(pages[1])).clicks.length;
      await pages[1].waitForTimeout(4 * PERIOD_MS);
      return (await heard(pages[1])).clicks.length === count;
    });
  });
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
