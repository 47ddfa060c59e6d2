// Live pictures, with a decoder that we hold in our hands and the WebAssembly that decides.

import assert from "node:assert/strict";
import { test } from "node:test";
import { openPictures } from "../../src/page/web/pictures.js";
import { codecOf, createScreening } from "../../src/page/web/screening.js";
import { picturesBytes } from "./helpers.js";

const START_MS = 1_790_000_000_000;

/** A page at network time START_MS + world.ms whose decoder gives back what it is told to at once. */
async function stubPage({ codecs = ["h264", "vp9"], hasDecoder = true } = {}) {
  const door = await openPictures(picturesBytes());
  const world = { ms: 0, frames: [], drawn: [], configured: [], decoded: [], given: [], open: 0, elements: [], breaks: false, told: [] };
  const createElement = (kind) => {
    const element = {
      kind, hidden: false, width: 0, height: 0, className: "", textContent: "",
      append() {},
      getContext: () => ({ drawImage: (frame) => world.drawn.push([frame.timestamp / 1000 - START_MS, world.ms]) }),
    };
    world.elements.push(element);
    return element;
  };
  const document = { createElement, body: { prepend() {} } };
  class VideoDecoder {
    constructor({ output, error }) { Object.assign(this, { output, error, state: "unconfigured" }); }
    configure({ codec }) { this.state = "configured"; world.configured.push(codec); }
    reset() { this.state = "unconfigured"; }
    close() { this.state = "closed"; }
    decode({ type, timestamp, data }) {
      if (this.state !== "configured") throw new Error(this.state);
      if (world.breaks) { this.state = "closed"; return this.error(new Error("broken")); }
      world.decoded.push([type, data.length]);
      world.given.push([type, timestamp / 1000 - START_MS]);
      world.open += 1;
      return this.output({ timestamp, displayWidth: 320, displayHeight: 180, close() { world.open -= 1; } });
    }
  }
  class EncodedVideoChunk { constructor(init) { Object.assign(this, init); } }
  const screening = createScreening({
    document, door, codecs, excuse: "sorry", netMs: (ms) => START_MS + ms, nowMs: () => world.ms,
    VideoDecoder: hasDecoder ? VideoDecoder : undefined, EncodedVideoChunk, nextFrame: (act) => world.frames.push(act),
    tell: (event) => world.told.push(event),
  });
  world.run = (ms) => {
    for (const end = world.ms + ms; world.ms < end;) {
      world.ms += 10;
      world.frames.splice(0).forEach((act) => act(world.ms));
    }
  };
  const canvas = world.elements.find(({ kind }) => kind === "canvas");
  /** Piece `index` of a picture that is seen at `ms`. */
  world.piece = (index, ms, more = {}) => screening.hear(JSON.stringify({
    type: "media_data", track_id: "film", chunk_index: index, timestamp: (START_MS + ms) / 1000, duration: 0.04, codec: "vp9",
    data: Buffer.from([0x82, 1, 2]).toString("base64"), is_keyframe: false, ...more,
  }));
  return { world, screening, canvas };
}

test("sx11: pictures are decoded shortly before their time and drawn at it, and the canvas goes when they end", async () => {
  const { world, screening, canvas } = await stubPage();
  for (let k = 0; k < 30; k += 1) world.piece(k, 1000 + 40 * k, { is_keyframe: k === 0 });
  world.run(500);
  assert.deepEqual([canvas.hidden, world.decoded.length], [true, 0]);
  world.run(400);
  assert.ok(world.decoded.length > 0 && world.decoded.length <= 8, `${world.decoded.length} are decoded`);
  assert.deepEqual(world.decoded[0], ["key", 3]);
  world.run(1300);
  assert.deepEqual([canvas.hidden, world.drawn.length, world.configured], [false, 30, ["vp09.00.10.08"]]);
  // It is seen when the screen is drawn the next time.
  world.drawn.forEach(([due, drawn]) => assert.ok(Math.abs(drawn + 10 - due) <= 10, `${due}: ${drawn}`));
  world.run(700);
  assert.deepEqual([canvas.hidden, world.open], [true, 0], "and nothing is held");
  const counts = { shown: 30, held: 0, skipped: 0, late: 0, lost: 0 };
  assert.deepEqual(screening.counts(), counts);
  assert.deepEqual(world.told[world.told.length - 1], { event: "pictures", seen: false, counts }, "the core hears of it");
  assert.ok(world.told.length >= 4 && world.told.length <= 6, `and not all the time: ${world.told.length}`);
  const seen = world.told.map((it) => it.seen);
  assert.deepEqual(seen.filter((it, k) => it !== seen[k - 1]), [false, true, false], "from its first picture to its last");
});

test("sx11: a page that is hidden for ten minutes decodes next to nothing when it is back, and is in step at once", async () => {
  const { world, screening } = await stubPage();
  const long = (k) => world.piece(k, 1000 + 40 * k, { is_keyframe: k % 50 === 0 });
  let next = 0;
  const hear = () => { for (; 1000 + 40 * next < world.ms + 1250; next += 1) long(next); };
  for (; world.ms < 3000; hear()) world.run(10);
  const [shown, given] = [world.drawn.length, world.given.length];
  // No frame is asked for meanwhile.
  for (; world.ms < 603_000; world.ms += 40) hear();
  const backMs = world.ms;
  world.run(10);
  const first = world.given.slice(given);
  assert.ok(first.length > 0 && first.length <= 16, `${first.length} in the first frame`);
  for (; world.ms < backMs + 1000; hear()) world.run(10);
  const after = world.given.slice(given).map(([type, dueMs]) => [type, (dueMs - 1000) / 40]);
  after.forEach(([type, k], n) => {
    assert.equal(type, k % 50 ? "delta" : "key", "page and core speak of the same picture");
    assert.ok(type === "key" || (n > 0 && after[n - 1][1] === k - 1), `${k} builds on what was left out`);
  });
  assert.ok(1000 + 40 * after[0][1] > backMs - 2100, "from the newest key frame on");
  const seen = world.drawn.slice(shown);
  assert.ok(seen[0][1] <= backMs + 50, `after ${seen[0][1] - backMs} ms`);
  seen.forEach(([dueMs, drawnMs]) => assert.ok(Math.abs(drawnMs - dueMs) <= 50, `${dueMs} at ${drawnMs}`));
  const { skipped, late, lost } = screening.counts();
  assert.ok(skipped > 14_950 && skipped < 15_050, `${skipped} were passed over`);
  assert.deepEqual([late, lost], [0, 0]);
});

test("sx11: what is lost holds the last picture until the next key frame, and so does a decoder that breaks", async () => {
  const { world, screening } = await stubPage();
  for (let k = 0; k < 20; k += 1) if (k !== 5) world.piece(k, 500 + 40 * k, { is_keyframe: k % 10 === 0 });
  world.run(1300);
  assert.deepEqual(world.drawn.map(([due]) => (due - 500) / 40), [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  assert.equal(screening.counts().lost, 5);
  world.breaks = true;
  world.piece(20, 1400, { is_keyframe: true });
  world.run(10);
  world.breaks = false;
  world.piece(21, 1440);
  world.piece(22, 1480, { is_keyframe: true });
  world.run(300);
  assert.deepEqual(world.drawn.slice(15).map(([due]) => due), [1480]);
});

test("sx11: parts become one picture, and another film takes the place of the one before", async () => {
  const { world } = await stubPage();
  [2, 1, 0].forEach((parts_left, k) => world.piece(k, 300, { parts_left, is_keyframe: k === 0 }));
  world.run(100);
  assert.deepEqual(world.decoded, [["key", 9]]);
  world.piece(3, 5000);
  const sps = Buffer.from([0, 0, 0, 1, 0x67, 0x64, 0, 0x1f, 0, 0, 0, 1, 0x65, 1]).toString("base64");
  world.piece(0, 600, { is_keyframe: true, codec: "h264", data: sps });
  world.run(700);
  assert.deepEqual(world.drawn.map(([due]) => due), [600], "what waited of the first is forgotten");
  assert.deepEqual(world.configured, ["vp09.00.10.08", "avc1.64001f"]);
});

test("sx11: a browser that cannot show it says so, and one that has not asked yet says nothing", async () => {
  const untaken = JSON.stringify({ type: "media_untaken", track_id: "film", codec: "h264" });
  const words = ({ world }) => world.elements.filter(({ kind }) => kind === "p").map(({ textContent }) => textContent);
  const cannot = await stubPage({ codecs: [], hasDecoder: false });
  cannot.screening.hear(untaken);
  assert.deepEqual(words(cannot), ["sorry"]);
  const can = await stubPage();
  can.screening.hear(untaken);
  assert.deepEqual(words(can), []);
});

test("sx11: key frames say what they are coded by", () => {
  assert.equal(codecOf("vp9", Uint8Array.of(0x82)), "vp09.00.10.08");
  assert.equal(codecOf("vp9", Uint8Array.of(0xa2)), "vp09.01.10.08");
  assert.equal(codecOf("vp9", Uint8Array.of(0x92)), "vp09.02.10.08");
  assert.throws(() => codecOf("h264", Uint8Array.of(0, 0, 0, 1, 0x65, 1)), /without its parameters/);
});
