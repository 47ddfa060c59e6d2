// Two real boxes and a browser: one is killed while its phones play, and they are with the other.
//
// Boxes that know of each other come with a cluster; here a proxy before the first one says where the second is.

import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CLICK_EVERY_S, clickShow, heard, inStep, open, startBox, startBrowser, stateOf, tapped, until, wav, whyNot } from "./helpers.js";

const skip = whyNot() || false;
let stage;
let booth;
let herald;
let browser;

before(async () => {
  if (skip) return;
  [stage, booth] = await Promise.all([startBox(clickShow), startBox(boothShow)]);
  herald = await startHerald(stage.port, booth.port);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (herald) herald.close();
  await Promise.all([stage, booth].map((box) => box && box.stop()));
});

/** The same clicks, other words, and a track that the first box does not have. */
function boothShow(folder) {
  clickShow(folder);
  writeFileSync(join(folder, "audio/bell.wav"), wav(48_000, 48_000, (n) => 9_000 * Math.sin(n / 9) * Math.exp(-n / 9_000)));
  const show = join(folder, "show.toml");
  writeFileSync(show, readFileSync(show, "utf8").replace("Good evening", "From the booth").replace("[tracks]", '[tracks]\nbell = "audio/bell.wav"'));
  appendFileSync(show, '\n[[list.cue]]\nnumber = 3\nname = "Bell"\nphones = { track = "bell" }\n');
  return folder;
}

test("sx03 sx08: a box is killed while a track plays, and its phones are with the other one within three seconds", { skip, timeout: 60_000 }, async (t) => {
  const [listener, watcher] = await Promise.all([tapped(browser, herald.port), open(browser, "/", herald.port)]);
  await inStep(listener);
  const phones = async (box) => JSON.parse((await box.command("phones", "--json")).stdout).phones;
  await until("the first box has both", async () => (await phones(stage)).length === 2);
  for (const box of [stage, booth]) {
    await box.go();
    await box.go();
  }
  await until("it clicks", async () => (await heard(listener)).clicks.length > 8);
  assert.equal(await listener.textContent("#words"), "Good evening");

  const stocked = () => watcher.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname));
  await until("the page has what it may want later", async () => {
    const files = await stocked();
    return ["live.js", "screening.js", "pictures.wasm", "reels.js", "peer.js"].every((file) => files.includes(`/page/${file}`));
  });
  const killedMs = performance.now();
  await stage.kill();
  herald.close();
  await until("the second box has both", async () => (await phones(booth)).filter(({ hello }) => hello).length === 2, 3);
  t.diagnostic(`with the other box after ${((performance.now() - killedMs) / 1000).toFixed(1)} s`);
  await until("its words are shown", async () => (await listener.textContent("#words")) === "From the booth");
  await inStep(listener);

  await until("what only this box has is fetched from it", async () => {
    const ready = (await phones(booth)).map(({ status }) => status && status.tracks_ready);
    return ready.every((count) => count === 2);
  });
  await until("the time is asked by a peer connection to it", async () => {
    const ways = (await phones(booth)).map(({ clock_channel: way }) => way);
    return ways.every((way) => way === "data_channel");
  });
  const { clicks } = await heard(listener);
  const gaps = clicks.slice(1).map(({ audioS }, k) => audioS - clicks[k].audioS);
  assert.ok(Math.max(...gaps) < 2.5 * CLICK_EVERY_S, `silent for ${Math.max(...gaps)} s`);
  assert.equal(await stateOf(watcher), "tap_to_start");
  assert.ok(await listener.evaluate(() => document.getElementById("news").hidden), "and nothing is broken");
});

/**
 * Passes everything on to the first box, and tells phones in its answer to `hello` of the second one:
 * `{ port, close() }`. What a box says comes in frames without a mask (RFC 6455, 5.2).
 */
async function startHerald(toPort, otherPort) {
  const sockets = new Set();
  const server = net.createServer((phone) => {
    const box = net.connect(toPort, "127.0.0.1");
    const frames = createFrames((text) => (text.includes('"cluster_info"') ? withBoxes(text) : text));
    box.on("data", (octets) => phone.write(frames(octets)));
    phone.on("data", (octets) => box.write(octets));
    for (const [one, other] of [[phone, box], [box, phone]]) {
      sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((done) => { server.listen(0, "127.0.0.1", done); });
  const { port } = server.address();
  const other = "00000000-0000-4000-8000-00000000000b";

  function withBoxes(text) {
    const said = JSON.parse(text);
    const at = (node_id, name, at_port) => ({ node_id, name, url: `http://localhost:${at_port}/` });
    said.cluster_info.replica_ids = [other];
    said.cluster_info.boxes = [at(said.header.node_id, "stage", port), at(other, "booth", otherPort)];
    return JSON.stringify(said);
  }

  return {
    port,
    close() {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}

/** What a box sends, piece by piece: texts go through `edit` where it is a WebSocket, and all else as it is. */
function createFrames(edit) {
  let isSocket = null;
  let rest = Buffer.alloc(0);

  function frame() {
    const [short, size] = [rest[1] & 0x7f, rest.length];
    const head = { 126: 4, 127: 10 }[short] || 2;
    if (size < Math.max(2, head)) return null;
    const length = { 2: () => short, 4: () => rest.readUInt16BE(2), 10: () => Number(rest.readBigUInt64BE(2)) }[head]();
    if (size < head + length) return null;
    const [whole, content] = [rest.subarray(0, head + length), rest.subarray(head, head + length)];
    rest = rest.subarray(head + length);
    return whole[0] === 0x81 ? framed(Buffer.from(edit(content.toString()))) : whole;
  }

  return (octets) => {
    rest = Buffer.concat([rest, octets]);
    const out = [];
    if (isSocket === null) {
      const end = rest.indexOf("\r\n\r\n");
      if (end < 0) return Buffer.alloc(0);
      isSocket = rest.toString("latin1", 0, 12) === "HTTP/1.1 101";
      out.push(rest.subarray(0, end + 4));
      rest = rest.subarray(end + 4);
    }
    if (!isSocket) {
      out.push(rest);
      rest = Buffer.alloc(0);
    }
    for (let next = isSocket && frame(); next; next = frame()) out.push(next);
    return Buffer.concat(out);
  };
}

/** A text as one frame. */
function framed(content) {
  const head = Buffer.alloc(content.length < 126 ? 2 : 4);
  head[0] = 0x81;
  head[1] = Math.min(content.length, 126);
  if (content.length >= 126) head.writeUInt16BE(content.length, 2);
  return Buffer.concat([head, content]);
}
