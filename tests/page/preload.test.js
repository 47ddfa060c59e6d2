// Tracks that come in pieces, with wrong bytes, or not at all.

import assert from "node:assert/strict";
import { createHash as nodeHash } from "node:crypto";
import { test } from "node:test";
import { createHash, createPreload } from "../../src/page/web/preload.js";
import { sha256 } from "../../src/page/web/sha256.js";

const hex = (bytes) => nodeHash("sha256").update(bytes).digest("hex");
const bytes = Uint8Array.from({ length: 100_000 }, (_, n) => (n * 31) % 251);
const url = `/media/${hex(bytes)}`;
const hash = async (it) => hex(it);

/** A box that gives out `content`; the k-th download breaks off after `breaks[k]` bytes. */
function boxOf(content, { breaks = [], ranges = true } = {}) {
  const asked = [];
  const fetch = async (path, { headers = {} } = {}) => {
    const from = ranges && headers.range ? Number(/^bytes=(\d+)-$/.exec(headers.range)[1]) : 0;
    const end = breaks[asked.length];
    asked.push(headers.range || "all");
    let at = from;
    const read = async () => {
      if (end !== undefined && at >= end) throw new TypeError("network error");
      if (at >= content.length) return { done: true };
      const value = content.slice(at, at + 9_000);
      at += 9_000;
      return { done: false, value };
    };
    return { ok: true, status: from ? 206 : 200, body: { getReader: () => ({ read }) } };
  };
  return { asked, fetch };
}

test("sx10: a download that broke goes on where it stopped", async () => {
  const box = boxOf(bytes, { breaks: [20_000, 70_000] });
  const load = createPreload({ fetch: box.fetch, hash });
  await assert.rejects(load(url), /network error/);
  await assert.rejects(load(url), /network error/);
  assert.deepEqual(new Uint8Array(await load(url)), bytes);
  assert.deepEqual(box.asked, ["all", "bytes=27000-", "bytes=72000-"]);
});

test("sx10: a box that knows no ranges gives all of it again", async () => {
  const box = boxOf(bytes, { breaks: [20_000], ranges: false });
  const load = createPreload({ fetch: box.fetch, hash });
  await assert.rejects(load(url));
  assert.deepEqual(new Uint8Array(await load(url)), bytes);
});

test("sx10: other bytes than the show means are refused, and nothing is kept of them", async () => {
  const wrong = bytes.slice();
  wrong[50_000] ^= 1;
  const box = boxOf(wrong);
  const load = createPreload({ fetch: box.fetch, hash });
  await assert.rejects(load(url), /other bytes/);
  await assert.rejects(load(url), /other bytes/);
  assert.deepEqual(box.asked, ["all", "all"]);
});

test("sx10: a cache that holds other bytes for ever is passed by at the next try", async () => {
  const [box, kept] = [boxOf(bytes), boxOf(bytes.slice().reverse())];
  const fetch = (path, how) => (how.cache === "reload" ? box : kept).fetch(path, how);
  const load = createPreload({ fetch, hash });
  await assert.rejects(load(url), /other bytes/);
  assert.deepEqual(new Uint8Array(await load(url)), bytes);
});

test("sx10: a box that refuses is asked for all of it the next time", async () => {
  let refuses = true;
  const box = boxOf(bytes, { breaks: [20_000] });
  const fetch = async (path, how) => (refuses && how.headers ? { ok: false, status: 416 } : box.fetch(path, how));
  const load = createPreload({ fetch, hash });
  await assert.rejects(load(url));
  await assert.rejects(load(url), /416/);
  refuses = false;
  assert.deepEqual(new Uint8Array(await load(url)), bytes);
});

test("sx10: a browser without streams gives it whole", async () => {
  const fetch = async () => ({ ok: true, status: 200, body: null, arrayBuffer: async () => bytes.slice().buffer });
  assert.deepEqual(new Uint8Array(await createPreload({ fetch, hash })(url)), bytes);
});

test("sx10: our SHA-256 and the browser's are node's", async () => {
  const ours = (length) => sha256(bytes.subarray(0, length));
  for (let length = 0; length < 200; length += 1) assert.equal(ours(length), hex(bytes.subarray(0, length)), `${length}`);
  assert.equal(ours(bytes.length), hex(bytes));
  assert.equal(await createHash(globalThis.crypto.subtle, () => assert.fail("it has one"))(bytes), hex(bytes));
});

test("sx10: nothing is kept of a download that was called off", async () => {
  const box = boxOf(bytes, { breaks: [20_000] });
  const load = createPreload({ fetch: box.fetch, hash });
  const stop = new AbortController();
  const begun = load(url, stop.signal);
  stop.abort();
  await assert.rejects(begun);
  assert.deepEqual(new Uint8Array(await load(url)), bytes);
  assert.deepEqual(box.asked, ["all", "all"]);
});
