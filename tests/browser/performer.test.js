// A performer's view in Chromium: over TLS, counting down what the box has ordered.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inStep, startBox, startBrowser, tapped, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
let box;
let browser;

/** A light cue that another follows by itself a minute later. */
function twoCues(folder) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "show.toml"), `
[show]
title = "Two cues"

[[list]]
name = "main"

[[list.cue]]
number = 1
name = "Storm"
phones = { color = "#fff4e0" }
continue = "auto-continue"
post_wait = "60s"

[[list.cue]]
number = 2
name = "Dawn"
phones = { color = "#ff9030" }
`);
  return folder;
}

before(async () => {
  if (skip) return;
  box = await startBox(twoCues);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

async function token() {
  return (await box.command("token", "--role", "performer")).stdout.trim().split("\n").at(-1);
}

/** A performer's page, in a context of its own, and the errors in it. */
async function performer(prepare = async () => {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  await prepare(page);
  await page.goto(`https://localhost:${box.securePort}/performer#token=${await token()}`);
  return { context, page, errors };
}

async function photograph(page, name) {
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
}

test("a performer sees the next cue, and how long until it comes", { skip, timeout: 60_000 }, async () => {
  const { context, page, errors } = await performer();
  await until("nobody reads the token over a shoulder", async () => new URL(page.url()).hash === "");
  await inStep(page);
  const next = () => page.textContent(".next").catch(() => "");
  await until("the first cue stands by", async () => (await next()) === "1 Storm" && (await page.textContent(".wait")) === "On GO");
  await box.go();
  await until("the second is counted down", async () => (await next()) === "2 Dawn" && /^(1:00|0:5\d)$/.test(await page.textContent(".count")));
  const first = await page.textContent(".count");
  await until("it goes on", async () => (await page.textContent(".count")) !== first);
  await photograph(page, "performer");
  assert.deepEqual(errors, []);
  await context.close();
});

test("a performer is told how old what comes next is while the box is away", { skip, timeout: 60_000 }, async () => {
  const { context, page } = await performer();
  await page.waitForSelector(".next");
  await page.route("**/prompt", (route) => route.abort("internetdisconnected"));
  const asOf = await page.waitForSelector(".old > .as-of");
  assert.match(await asOf.textContent(), /^As of \d\d:\d\d:\d\d$/);
  await photograph(page, "performer-old");
  assert.deepEqual((await page.evaluate(inspect)).filter(({ contrast }) => contrast < 4.5), []);
  await page.unroute("**/prompt");
  await page.waitForSelector("#lists:not(.old)");
  assert.equal(await page.$(".as-of"), null);
  await context.close();
});

test("a performer whose network loses what the list and the screen need has both a moment later", { skip, timeout: 60_000 }, async () => {
  const lost = [];
  const { context, page } = await performer(async (page) => {
    await page.addInitScript(countLocks);
    for (const name of ["performer.js", "wake.js", "words/en-later.json"]) {
      await page.route(`**/page/${name}`, (route) => (lost.push(name), route.abort("internetdisconnected")), { times: 1 });
    }
  });
  await page.waitForSelector(".next");
  assert.equal(await page.textContent(".label"), "Next");
  await until("the screen is kept on", () => page.evaluate(() => window.locks === 1));
  assert.deepEqual(lost.sort(), ["performer.js", "wake.js", "words/en-later.json"]);
  await context.close();
});

test("an invitation outlives a reload, a performer's and one of the audience's", { skip, timeout: 60_000 }, async () => {
  const { context, page } = await performer();
  const next = () => page.textContent(".next").catch(() => "");
  await until("the token holds", async () => (await next()) !== "");
  await page.reload();
  await until("it holds still", async () => (await next()) !== "");
  assert.equal(await page.textContent(".label"), "Next");
  await page.goto(`https://localhost:${box.securePort}/#token=abc`);
  await until("it has left the address", async () => new URL(page.url()).hash === "");
  await page.reload();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("downbeat.token")), "abc");
  await until("it is shown to the box again", async () => /invitation is not valid/.test(await page.textContent("#line")));
  await context.close();
});

/** In the page: how often it asked for its screen to stay on. */
function countLocks() {
  window.locks = 0;
  const request = async () => {
    window.locks += 1;
    return new EventTarget();
  };
  Object.defineProperty(navigator, "wakeLock", { value: { request } });
}

/** Two lists, one of which goes on by itself in two hours. */
function evening(paused) {
  const cue = (number, name) => ({ number, name });
  const list = { last: null, standby: null, coming: null, coming_at: null };
  const inS = (seconds) => Date.now() / 1000 + seconds;
  return {
    title: "Two cues", paused,
    running: [{ ...cue(1, "Storm"), began_at: inS(0), ends_at: inS(100) }],
    lists: [
      { ...list, name: "sound", coming: cue(2, "Dawn"), coming_at: inS(7_190) },
      { ...list, name: "light", standby: cue(7, "Rain") },
      { ...list, name: "hall" },
    ],
  };
}

/** In the page: how every word that is seen stands out from what is behind it (WCAG 2.1), and in how many lines. */
function inspect() {
  const numbers = (color) => color.match(/[\d.]+/g).map(Number);
  const linear = (share) => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4);
  const light = (color) => {
    const [red, green, blue] = numbers(color).map((it) => linear(it / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const isClear = (color) => numbers(color)[3] === 0;
  const ground = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return isClear(color) ? ground(element.parentElement) : color;
  };
  const words = [...document.body.querySelectorAll("*")].filter((it) => it.getClientRects().length > 0
    && [...it.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim()));
  return words.map((element) => {
    const [ink, behind] = [getComputedStyle(element).color, ground(element)].map(light);
    const contrast = (Math.max(ink, behind) + 0.05) / (Math.min(ink, behind) + 0.05);
    const range = document.createRange();
    range.selectNodeContents(element);
    const lines = new Set([...range.getClientRects()].map((it) => Math.round(it.top))).size;
    return { name: element.className || element.id, text: element.textContent, contrast, lines };
  });
}

test("a performer's words are read on a light cue, and a countdown stands in one line in letters twice as large", { skip, timeout: 60_000 }, async (t) => {
  const { context, page, errors } = await performer();
  let paused = false;
  await page.route("**/prompt", (route) => route.fulfill({ json: evening(paused) }));
  await until("the show is light", () => page.evaluate(() => getComputedStyle(document.body).backgroundColor === "rgb(255, 244, 224)"));
  await until("the countdown is there", async () => /^1(19|20):\d\d$/.test(await page.textContent(".count").catch(() => "")));
  const running = await page.evaluate(inspect);
  await photograph(page, "performer-light");
  paused = true;
  await page.waitForSelector(".held");
  const all = [...running, ...await page.evaluate(inspect)];
  const seen = new Set(all.map(({ name }) => name));
  ["time", "now", "held", "list", "label", "next", "wait", "count", "line"].forEach((name) => assert.ok(seen.has(name), name));
  const faint = all.filter(({ contrast }) => contrast < 4.5);
  assert.deepEqual(faint, []);
  t.diagnostic(`the faintest of them: ${Math.min(...all.map(({ contrast }) => contrast)).toFixed(1)} to 1`);
  paused = false;
  await page.waitForSelector(".count");
  for (const width of [390, 320]) {
    await page.setViewportSize({ width, height: 844 });
    await page.evaluate(() => { document.documentElement.style.fontSize = "200%"; });
    const large = await page.evaluate(inspect);
    await photograph(page, `performer-large-${width}`);
    large.filter(({ name }) => ["count", "time"].includes(name)).forEach(({ lines, text }) => assert.equal(lines, 1, `${text} at ${width}`));
    assert.ok(await page.evaluate(() => document.getElementById("prompt").scrollWidth <= innerWidth), "nothing is cut off at a side");
  }
  assert.deepEqual(errors, []);
  await context.close();
});

test("sx10: after a pause no page says Paused, though nothing plays", { skip, timeout: 60_000 }, async () => {
  const { context, page } = await performer();
  const phone = await tapped(browser, box.port);
  const say = (words) => until(`both say ${words}`, async () => {
    const lines = await Promise.all([page, phone].map((it) => it.textContent("#line")));
    return lines.every((line) => line === words);
  });
  await say("Ready");
  await box.command("pause");
  await say("Paused: it goes on soon");
  await box.command("resume");
  await say("Ready");
  await phone.close();
  await context.close();
});

test("over plain HTTP a performer is told of the warning, and goes on to TLS with the token", { skip, timeout: 60_000 }, async () => {
  const asked = (path) => new Promise((done, failed) => {
    request({ host: "127.0.0.1", port: box.port, path }, (answer) => {
      answer.resume();
      done(answer.statusCode);
    }).on("error", failed).end();
  });
  assert.equal(await asked("/prompt"), 403, "nothing is said of what comes");
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const errors = [];
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  await page.goto(`http://localhost:${box.port}/performer?lang=en#token=${await token()}`);
  await photograph(page, "before-performer");
  await page.click('a[href="/trust"]');
  await page.waitForURL("**/trust");
  await photograph(page, "trust");
  await page.goBack();
  assert.deepEqual(errors, [], "its script may run");
  await page.click(":not([lang=ja]) > ol a[data-onward]");
  await inStep(page);
  assert.equal(page.url(), `https://localhost:${box.securePort}/performer?lang=en`);
  await until("the token holds", async () => (await page.textContent(".next").catch(() => "")) !== "");
  await context.close();
});
