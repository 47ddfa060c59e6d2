// What a phone has to fetch before its holder may tap, as Chromium counts it. Prints it beside the limit.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { clickShow, inStep, startBox, startBrowser, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
/** All of it, heads included. */
const LIMIT = 150_000;
/** A name that browsers do not trust over plain HTTP, as a phone's way to a box. */
const PLAIN = "downbeat.test";
let box;
let browser;

before(async () => {
  if (skip) return;
  box = await startBox(clickShow);
  browser = await startBrowser(null, `--host-resolver-rules=MAP ${PLAIN} 127.0.0.1`);
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

/** Octets that came over the network, by path; music is the show's and not the page's. */
async function counted(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const paths = new Map();
  const octets = new Map();
  session.on("Network.responseReceived", ({ requestId, response }) => paths.set(requestId, [new URL(response.url).pathname, response]));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const [path] = paths.get(requestId) || [];
    if (path && !path.startsWith("/media/")) octets.set(path, (octets.get(path) || 0) + encodedDataLength);
  });
  return { octets, encodingOf: (path) => [...paths.values()].find(([it]) => it === path)[1].headers["content-encoding"] };
}

async function loads(t, host, locale) {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 }, locale });
  const { octets, encodingOf } = await counted(page);
  await page.goto(`http://${host}:${box.port}/`);
  await page.waitForSelector("#tap:not(:empty)");
  assert.equal(await page.evaluate(() => window.isSecureContext), host === "localhost");
  const first = [...octets.entries()];
  const sum = (all) => all.reduce((total, [, count]) => total + count, 0);
  const largest = first.sort(([, a], [, b]) => b - a).slice(0, 6).map(([path, count]) => `${path} ${count}`);
  t.diagnostic(`until the tap: ${sum(first)} of ${LIMIT} octets in ${first.length} files (${largest.join(", ")})`);
  assert.ok(octets.has("/page/core.wasm") && octets.has("/page/main.js"), "it was counted");
  assert.equal(encodingOf("/page/core.wasm"), "gzip");
  await page.click("#tap");
  await inStep(page);
  assert.equal(await page.isVisible("#hint"), host !== "localhost", "where a page may keep no screen on, it says so");
  const [overTls, plain] = [["/page/wake.js", "/page/battery.js"], ["/page/sha256.js"]];
  // Chrome told of its battery over plain HTTP, too, once.
  const [needed, spared] = host === "localhost" ? [overTls, plain] : [plain, ["/page/wake.js"]];
  await until("it has fetched what it needs", () => ["/page/peer.js", ...needed].every((path) => octets.has(path)));
  const all = [...octets.entries()];
  t.diagnostic(`in step, with all that it fetched by itself: ${sum(all)} of ${LIMIT} octets in ${all.length} files`);
  assert.ok(sum(all) < LIMIT);
  const later = ["/page/microphone.js", "/page/recorder.js", "/page/reels.js", "/page/cuts.js", "/page/opus.js", "/page/opus.wasm", "/page/sealed.js", "/page/sw.js", "/page/away.html"];
  assert.deepEqual(spared.filter((path) => octets.has(path)), [], "nobody fetches what is for others");
  assert.deepEqual(later.filter((path) => octets.has(path)), [], "what is for later comes later");
  await page.close();
}

test("the first load is under 150 kB in all", { skip, timeout: 60_000 }, async (t) => {
  await loads(t, "localhost", "en-GB");
  await loads(t, PLAIN, "ja-JP");
});

test("a page that loses what it fetches, as when a phone changes its network, comes up by itself", { skip, timeout: 60_000 }, async () => {
  await Promise.all(["/page/view.js", "/page/core.wasm", "/page/words/en.json"].map(async (path) => {
    const page = await browser.newPage();
    let lost = 0;
    let isAway = true;
    await page.route(`**${path}`, (route) => (lost++ ? route.continue() : route.abort("internetdisconnected")));
    await page.route("**/page/version", (route) => (isAway ? route.abort("internetdisconnected") : route.continue()));
    await page.goto(`http://localhost:${box.port}/`);
    await page.waitForSelector("#trying:visible");
    assert.match(await page.innerText("#stage"), /Joining …\s+接続しています…\s+No answer yet/, path);
    isAway = false;
    await page.waitForSelector("#tap:not(:empty)");
    assert.ok(await page.isHidden("#trying"));
    assert.equal(lost, 2, `${path} was asked for again`);
    await page.close();
  }));
});
