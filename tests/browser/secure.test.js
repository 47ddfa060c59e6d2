// The page over HTTPS in Chromium: a fine clock, and the time asked in datagrams. Prints what it measured.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import tls from "node:tls";
import { median } from "./capture.js";
import { clickShow, inStep, startBox, startBrowser, startWire, stateOf, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
let box;
/** One whose box file would rather have messages by QUIC. */
let rather;
let wire;
let browser;

before(async () => {
  if (skip) return;
  box = await startBox(clickShow);
  rather = await startBox(clickShow, { more: "\n[net]\nphones_by_quic = true\n" });
  wire = await startWire(box.securePort, { datagrams: true });
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (wire) await Promise.all([wire, wire.datagrams].map((it) => it.close()));
  await Promise.all([box, rather].map((it) => it && it.stop()));
});

/** A page; the box's own certificate is nobody's to trust, and whoever visits says so. */
async function open(url, before = () => {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  await page.addInitScript(before);
  page.on("console", (said) => { if (said.type() === "error") errors.push(said.text()); });
  await page.goto(url);
  return page;
}

const errors = [];
const netMs = (page) => page.evaluate(() => window.downbeat.netMs() - performance.now());

/** What a box has of the phones that are there. */
async function phones(of) {
  const { stdout } = await of.command("phones", "--json");
  return JSON.parse(stdout).phones.filter(({ hello }) => hello);
}

/** By which way they ask, and what carries what they say. */
const channels = async () => (await phones(box)).map(({ clock_channel: channel }) => channel);
const carriers = async () => (await phones(rather)).map(({ carrier }) => carrier).join();

/** The smallest step between two readings of the page's clock, and what it is told of itself. */
const clockOf = (page) => page.evaluate(() => {
  let step = Infinity;
  let last = performance.now();
  for (const end = last + 200; last < end;) {
    const now = performance.now();
    if (now > last) step = Math.min(step, now - last);
    last = now;
  }
  return { isolated: window.crossOriginIsolated, transport: "WebTransport" in window, step };
});

test("sx05: a page over TLS is isolated and reads a finer clock than one over plain HTTP", { skip, timeout: 60_000 }, async (t) => {
  const plain = await open(`http://127.0.0.1:${box.port}/screen`);
  const secure = await open(`https://127.0.0.1:${box.securePort}/screen`);
  await Promise.all([plain, secure].map(inStep));
  const [coarse, fine] = [await clockOf(plain), await clockOf(secure)];
  t.diagnostic(`step of the clock: ${(coarse.step * 1e3).toFixed(1)} us plain, ${(fine.step * 1e3).toFixed(1)} us isolated`);
  assert.equal(coarse.isolated, false);
  assert.equal(fine.isolated, true);
  assert.ok(fine.transport);
  assert.ok(fine.step < 0.006, `${fine.step} ms`);
  assert.ok(coarse.step > 0.05, `${coarse.step} ms`);
  await Promise.all([plain.context().close(), secure.context().close()]);
});

test("sx16: whoever comes with a token that does not hold is told so, and may go on as audience", { skip, timeout: 60_000 }, async () => {
  // Without an ear for complaints: a service worker wants a certificate that the browser believes.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(`https://127.0.0.1:${box.securePort}/?lang=en#token=abc`);
  await until("it is told", async () => /invitation is not valid/.test(await page.textContent("#line")));
  await until("the show is known", async () => (await page.textContent("#door-title")) === "Clicks");
  assert.equal(await page.textContent("#tap"), "Go on as audience");
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, "as-audience.png") });
  await page.click("#tap");
  await inStep(page);
  assert.equal(await page.textContent("#line"), "Ready");
  await context.close();
});

test("the box speaks TLS 1.3 and nothing older", { skip }, async () => {
  const versionOf = (maxVersion) => new Promise((done) => {
    const socket = tls.connect({ port: box.securePort, host: "127.0.0.1", rejectUnauthorized: false, maxVersion });
    socket.on("secureConnect", () => { done(socket.getProtocol()); socket.destroy(); });
    socket.on("error", ({ code }) => { done(code); });
  });
  assert.equal(await versionOf("TLSv1.3"), "TLSv1.3");
  assert.match(await versionOf("TLSv1.2"), /PROTOCOL_VERSION/);
});

test("sx20: a page over TLS says and hears everything by QUIC, and on the socket again when datagrams are cut", { skip, timeout: 60_000 }, async (t) => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  const way = await startWire(rather.securePort, { datagrams: true });
  t.after(() => Promise.all([way, way.datagrams].map((it) => it.close())));
  await page.goto(`https://127.0.0.1:${way.port}/`);
  await page.click("#tap");
  await inStep(page);
  await until("its messages go by QUIC", async () => await carriers() === "quic");
  assert.equal(await page.textContent("#line"), "Ready");
  const shown = () => page.evaluate(() => window.downbeat.look().text);
  await rather.order("fire", { cue: "1" });
  await until("a cue is shown", async () => await shown() === "Good evening");
  await rather.order("panic", {});
  await until("it goes", async () => await shown() === "");
  way.datagrams.order("cut");
  const cutMs = performance.now();
  await until("it is on the socket", async () => (await carriers()).includes("web_socket"));
  t.diagnostic(`on the socket ${((performance.now() - cutMs) / 1000).toFixed(1)} s after datagrams were cut`);
  await rather.order("fire", { cue: "1" });
  await until("a cue is shown", async () => await shown() === "Good evening");
  assert.equal(await stateOf(page), "in_step");
  await context.close();
});

test("sx09: datagrams feed the clock, the socket stands in when they are cut, and they come back", { skip, timeout: 120_000 }, async (t) => {
  // Where a browser has peer connections, it would ask on one of those.
  const page = await open(`https://127.0.0.1:${wire.port}/screen`, () => { delete window.RTCPeerConnection; });
  await inStep(page);
  await until("it asks in datagrams", async () => (await channels()).includes("web_transport"));
  const before = await netMs(page);
  wire.datagrams.order("cut");
  // Back at the front, a page asks at once.
  const wake = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await wake();
  await until("it asks by the socket", async () => (await channels()).includes("web_socket"));
  assert.equal(await stateOf(page), "in_step");
  const without = await netMs(page);
  wire.datagrams.order("heal");
  await wake();
  await until("it asks in datagrams again", async () => (await channels()).includes("web_transport"), 40);
  assert.equal(await stateOf(page), "in_step");
  const again = await netMs(page);
  t.diagnostic(`the estimate moved by ${(without - before).toFixed(3)} ms without datagrams, by ${(again - before).toFixed(3)} ms in all`);
  assert.ok(Math.abs(without - before) < 1 && Math.abs(again - before) < 1);
  await page.context().close();
});

test("round trips in datagrams and over the socket, as a page sees them", { skip, timeout: 60_000 }, async (t) => {
  const page = await open(`https://127.0.0.1:${box.securePort}/healthz`);
  const rtts = await page.evaluate(roundTrips);
  for (const [way, all] of Object.entries(rtts)) {
    assert.equal(all.length, 40, way);
    all.sort((a, b) => a - b);
    t.diagnostic(`${way}: least ${all[0].toFixed(3)}, middle ${median(all).toFixed(3)}, 95 of 100 under ${all[37].toFixed(3)} ms`);
  }
  await page.context().close();
});

/** In the page: forty questions each way, eight a second, in turn. */
async function roundTrips() {
  const id = () => "00000000-0000-4000-8000-000000000000".replace(/0/g, () => Math.floor(Math.random() * 10));
  const header = () => ({ id: id(), timestamp: Date.now() / 1000, node_id: id(), sequence: 1 });
  const socket = new WebSocket(`wss://${location.host}/ws`);
  await new Promise((done) => { socket.onopen = done; });
  const hear = (type) => new Promise((done) => {
    socket.onmessage = ({ data }) => {
      const at = performance.now();
      if (data.includes(`"type":"${type}"`)) done([at, data]);
    };
  });
  socket.send(JSON.stringify({ type: "hello", header: header(), protocol_version: "0.1.0", node_type: "client" }));
  const { webtransport } = JSON.parse((await hear("hello"))[1]);
  const value = (hash) => Uint8Array.from(hash.match(/../g), (pair) => parseInt(pair, 16));
  const hashes = webtransport.certificate_hashes.map((hash) => ({ algorithm: "sha-256", value: value(hash) }));
  const session = new WebTransport(webtransport.url, { serverCertificateHashes: hashes });
  await session.ready;
  const [writer, reader] = [session.datagrams.writable.getWriter(), session.datagrams.readable.getReader()];
  const all = { "WebSocket over TLS": [], "WebTransport datagram": [] };
  for (let k = 0; k < 40; k += 1) {
    await new Promise((done) => { setTimeout(done, 125); });
    const said = hear("clock_sync_response");
    const [head, tail] = JSON.stringify({ type: "clock_sync", header: header(), t1: 0.5 }).split("0.5}");
    const sent = performance.now();
    socket.send(`${head}${sent / 1000}}${tail}`);
    all["WebSocket over TLS"].push((await said)[0] - sent);
    const question = new DataView(new ArrayBuffer(10));
    question.setUint8(0, 1);
    const asked = performance.now();
    question.setFloat64(2, asked);
    writer.write(new Uint8Array(question.buffer));
    await reader.read();
    all["WebTransport datagram"].push(performance.now() - asked);
  }
  return all;
}

test("the page had nothing to complain about", { skip }, () => {
  assert.deepEqual(errors.filter((text) => !/ERR_|WebTransport|net::/.test(text)), []);
});
