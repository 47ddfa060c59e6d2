// Opus by the page's own decoder, as the last build made it, held against what libopus decoded the same packets to.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { fetchOpus, openOpus } from "../../src/page/web/opus.js";
import { datagram, opusBytes } from "./helpers.js";

const folder = new URL("../vectors/opus/", import.meta.url);
const packets = readdirSync(folder).filter((name) => name.endsWith(".txt")).sort();
const samples = readFileSync(new URL("samples", folder));
const FRAMES = 960;

test("sx11: packets of every kind, one behind the other, are what libopus makes of them, within rounding", async () => {
  const opus = await openOpus(await WebAssembly.compile(opusBytes()));
  assert.ok(packets.length > 7);
  packets.forEach((name, number) => {
    const planes = opus(datagram(`../opus/${name}`));
    assert.deepEqual(planes.map(({ length }) => length), [FRAMES, FRAMES], name);
    const off = (n, k) => Math.abs(planes[k][n] * 32_767 - samples.readInt16LE(4 * (number * FRAMES + n) + 2 * k));
    const worst = planes[0].reduce((most, _, n) => Math.max(most, off(n, 0), off(n, 1)), 0);
    // A step of 16 bits, in which SILK reckons, and what rounding adds to it.
    assert.ok(worst <= 2, `${name}: ${worst} of 32768 off`);
  });
});

test("what is no packet is refused, and the next one is decoded", async () => {
  const opus = await openOpus(await WebAssembly.compile(opusBytes()));
  for (const nonsense of [[], [0xff, 0xff, 0xff], new Array(4000).fill(0xfc)]) assert.throws(() => opus(Uint8Array.from(nonsense)), /no packet/);
  assert.equal(opus(datagram(`../opus/${packets[0]}`))[0].length, FRAMES);
});

test("what a packet gave stays as it was when the next one comes", async () => {
  const opus = await openOpus(await WebAssembly.compile(opusBytes()));
  const [first] = opus(datagram(`../opus/${packets[0]}`));
  const before = first.slice();
  packets.slice(1).forEach((name) => opus(datagram(`../opus/${name}`)));
  assert.deepEqual(first, before);
});

test("sx11: what is fetched makes as many decoders as are wanted, and what was cut off on its way is none", async () => {
  const bytes = opusBytes();
  globalThis.fetch = async () => ({ ok: true, arrayBuffer: async () => bytes.subarray(0, 1000) });
  await assert.rejects(fetchOpus());
  globalThis.fetch = async () => ({ ok: true, arrayBuffer: async () => bytes });
  const open = await fetchOpus();
  for (const opus of [await open(), await open()]) assert.equal(opus(datagram(`../opus/${packets[0]}`))[0].length, FRAMES);
});
