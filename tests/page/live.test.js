// Live sound as the core places it, with a context that writes down what it is told.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createLive, drawOut, withEcho } from "../../src/page/web/live.js";

const FRAMES = 960;
const sine = (n) => 0.5 * Math.sin((2 * Math.PI * 440 * n) / 48_000);

class StubContext {
  constructor(sampleRate = 48_000) {
    Object.assign(this, { currentTime: 10, sampleRate, state: "running", sources: [], destination: {} });
  }
  createGain() {
    const calls = [];
    const gain = { setValueAtTime: (...it) => calls.push(["set", ...it]), linearRampToValueAtTime: (...it) => calls.push(["line", ...it]) };
    return { context: this, gain, calls, connect() {}, disconnect() {} };
  }
  createBufferSource() {
    const source = { starts: [], stops: [], connect(to) { this.gain = to; }, start(at) { this.starts.push(at); }, stop(at) { this.stops.push(at); } };
    this.sources.push(source);
    return source;
  }
  createBuffer(channels, length, rate) {
    const planes = Array.from({ length: channels }, () => new Float32Array(length));
    return { planes, length, rate, getChannelData: (k) => planes[k] };
  }
}

/** A chunk of samples whose first is the n-th of all; two channels, the second upside down. */
function chunk(index, fromS, { untilS = fromS + 0.02, riseS = 0, wave = sine } = {}) {
  const bytes = new DataView(new ArrayBuffer(4 * FRAMES));
  for (let n = 0; n < FRAMES; n += 1) {
    const value = Math.round(32_767 * wave(index * FRAMES + n));
    bytes.setInt16(4 * n, value, true);
    bytes.setInt16(4 * n + 2, -value, true);
  }
  const data = Buffer.from(bytes.buffer).toString("base64");
  return { act: "live", index, codec: "pcm16", data, from_s: fromS, until_s: untilS, rise_s: riseS };
}

function begin(sampleRate, world = {}) {
  const host = new StubContext(sampleRate);
  const events = [];
  return { host, events, live: createLive({ context: () => host, nowMs: () => 0, tell: (it) => events.push(it), ...world }) };
}

/** What is heard of all pieces, from a frame on. */
function mixed({ sources, sampleRate }, from, length, channel = 0) {
  const out = new Float32Array(length);
  for (const { buffer, starts, stops } of sources) {
    const first = Math.round(starts[0] * sampleRate);
    const end = Math.min(first + buffer.length, ...stops.map((at) => Math.round(at * sampleRate)));
    for (let n = first; n < end; n += 1) if (n - from >= 0 && n - from < length) out[n - from] += buffer.planes[channel][n - first];
  }
  return out;
}

for (const rate of [48_000, 44_100]) {
  test(`sx11: chunks that follow each other are one wave, at ${rate} frames a second`, () => {
    const { host, live } = begin(rate);
    const from = 12.000_013;
    for (let k = 0; k < 10; k += 1) live.perform(chunk(k, from + 0.02 * k, { untilS: from + 0.02 * (k + 1), riseS: k ? 0 : 0.005 }));
    const first = Math.ceil((from + 0.006) * rate);
    const heard = mixed(host, first, Math.floor(0.19 * rate));
    const worst = heard.reduce((most, it, n) => Math.max(most, Math.abs(it - sine(((first + n) / rate - from) * 48_000))), 0);
    assert.ok(worst < 0.001, `${worst} off at the worst`);
    const turned = mixed(host, first, 100, 1);
    assert.ok(turned.every((it, n) => Math.abs(it + heard[n]) < 1e-4), "both channels");
    assert.ok(host.sources.slice(0, -1).every(({ stops }) => stops.length === 1), "each echo is cut off by the next one");
  });
}

test("sx11: what was ordered far ahead of one stream is not heard once another begins", () => {
  const { host, live } = begin(48_000);
  for (let k = 0; k < 50; k += 1) live.perform(chunk(k, 11 + 0.02 * k, { riseS: k ? 0 : 0.03 }));
  const silent = () => 0;
  for (let k = 0; k < 5; k += 1) live.perform(chunk(k, 10.3 + 0.02 * k, { riseS: k ? 0 : 0.03, wave: silent }));
  assert.ok(mixed(host, 10 * 48_000, 3 * 48_000).every((it) => it === 0), "not before its time");
  for (let k = 0; k < 50; k += 1) live.perform(chunk(k, 13 + 0.02 * k, { riseS: k ? 0 : 0.03 }));
  host.currentTime = 13.1;
  live.perform(chunk(0, 13.305, { riseS: 0.03, wave: silent }));
  const heard = mixed(host, 13 * 48_000, 48_000).map(Math.abs);
  assert.ok(Math.max(...heard.slice(0.1 * 48_000, 0.3 * 48_000)) > 0.4);
  assert.equal(Math.max(...heard.slice(0.336 * 48_000)), 0, "it falls while the other rises");
});

test("sx11: a chunk that is drawn out by 0.3 % is one wave still", () => {
  const { host, live } = begin(48_000);
  const length = 0.02 * 1.003;
  for (let k = 0; k < 10; k += 1) live.perform(chunk(k, 12 + length * k, { untilS: 12 + length * (k + 1) }));
  const first = 12 * 48_000 + 20;
  const heard = mixed(host, first, 9_000);
  const worst = heard.reduce((most, it, n) => Math.max(most, Math.abs(it - sine((20 + n) / 1.003))), 0);
  assert.ok(worst < 0.001, `${worst} off at the worst`);
});

test("sx15: what does not come leaves an echo that dies away without a step", () => {
  const { host, live } = begin(48_000);
  for (let k = 0; k < 3; k += 1) live.perform(chunk(k, 12 + 0.02 * k));
  const heard = mixed(host, 12 * 48_000 + 20, 3_900);
  const steps = heard.slice(1).map((it, n) => Math.abs(it - heard[n]));
  assert.ok(Math.max(...steps) < 0.032, `a step of ${Math.max(...steps)}; the wave's own is 0.029`);
  const power = (from) => Math.max(...heard.slice(from, from + 200).map(Math.abs));
  assert.ok(power(2_900) > 0.35 && power(3_500) < 0.1, "it is there, and dies away");
});

test("sx15: a chunk that is late is heard from where it would be by now, and rises", () => {
  const { host, live } = begin(48_000);
  live.perform(chunk(0, 10.02));
  host.currentTime = 10.05;
  live.perform(chunk(1, 10.04));
  const late = host.sources[1];
  const at = Math.round(late.starts[0] * 48_000);
  assert.ok(at > 10.05 * 48_000 && at < 10.051 * 48_000);
  const [first, later] = [late.buffer.planes[0][0], late.buffer.planes[0][300]];
  assert.ok(Math.abs(first) < 0.01, "from nothing");
  assert.ok(Math.abs(later - sine(at + 300 - 10.02 * 48_000)) < 0.01, "in its own place");
  assert.deepEqual(late.gain.calls, [], "and the one before falls");
  assert.equal(host.sources[0].gain.calls.length, 2);
  host.currentTime = 10.2;
  live.perform(chunk(2, 10.06));
  assert.equal(host.sources.length, 2, "what is past is not sounded");
});

class StubChunk { constructor(how) { Object.assign(this, how); } }
/** A decoder of the browser's, which takes Opus or does not. */
function stubDecoder(supported) {
  return class StubDecoder {
    static all = [];
    static async isConfigSupported({ codec }) { return { supported: supported && codec === "opus" }; }
    constructor(how) { Object.assign(this, how, { given: [], state: "unconfigured" }); StubDecoder.all.push(this); }
    configure(how) { [this.how, this.state] = [how, "configured"]; }
    decode(it) { this.given.push(it); }
    close() { this.state = "closed"; }
    breaks() { this.close(); this.error(new Error("broken")); }
  };
}
const opus = (index) => ({ ...chunk(index, 12 + 0.02 * index), codec: "opus", data: "/P/+" });
const soon = () => new Promise((done) => { setImmediate(done); });
const undecodable = [{ event: "live_undecodable" }];
/** What our decoder makes of any packet. */
const tone = () => [0.25, 0.5].map((it) => new Float32Array(FRAMES).fill(it));
/** When a piece begins, in milliseconds. */
const begins = ({ sources }) => sources.map(({ starts }) => Math.round(starts[0] * 1000));

test("sx11: opus goes through the browser's decoder, and one that breaks is followed by another", async () => {
  const AudioDecoder = stubDecoder(true);
  const { host, events, live } = begin(48_000, { AudioDecoder, EncodedAudioChunk: StubChunk });
  live.perform(opus(0));
  live.perform(opus(1));
  await soon();
  live.perform(opus(2));
  const [decoder] = AudioDecoder.all;
  assert.deepEqual([decoder.how.codec, decoder.given.map(({ timestamp }) => timestamp), [...decoder.given[0].data]], ["opus", [0, 20_000, 40_000], [0xfc, 0xff, 0xfe]]);
  const data = { numberOfChannels: 2, numberOfFrames: FRAMES, copyTo: (plane) => plane.fill(0.25), close() { this.closed = true; } };
  decoder.output(data);
  assert.ok(data.closed && host.sources[0].buffer.planes[1][500] > 0.24);
  decoder.breaks();
  decoder.output({ ...data });
  assert.equal(host.sources.length, 1, "what it had in hand is lost");
  live.perform(opus(3));
  await soon();
  live.perform(opus(4));
  const [, next] = AudioDecoder.all;
  assert.deepEqual(next.given.map(({ timestamp }) => timestamp), [60_000, 80_000]);
  next.output(data);
  assert.deepEqual([begins(host), events], [[12_000, 12_060], []]);
});

for (const [name, AudioDecoder] of [["has none", undefined], ["knows no opus", stubDecoder(false)]]) {
  test(`sx11: where the browser's decoder ${name}, ours comes, and what came before it is heard in its order`, async () => {
    const given = [];
    const decode = (packet) => { given.push([...packet]); return tone(); };
    let fetched = 0;
    const fetchOpus = async () => { fetched += 1; await soon(); return async () => decode; };
    const { host, events, live } = begin(48_000, { AudioDecoder, EncodedAudioChunk: StubChunk, fetchOpus });
    live.perform(opus(0));
    live.perform(opus(1));
    assert.equal(host.sources.length, 0);
    await soon();
    await soon();
    live.perform(opus(2));
    assert.deepEqual([fetched, given.length, given[0]], [1, 3, [0xfc, 0xff, 0xfe]]);
    assert.deepEqual(begins(host), [12_000, 12_020, 12_040]);
    assert.ok(host.sources[2].buffer.planes[1][500] > 0.49);
    assert.deepEqual(events, []);
  });
}

/** A phone that has no decoder but ours, and hears a chunk every 20 ms. */
function plain({ fetchOpus, chance = () => 0.5 }) {
  const world = { ms: 0, next: 0, asked: [] };
  const more = { nowMs: () => world.ms, chance, fetchOpus: () => { world.asked.push(world.ms); return fetchOpus(world.asked.length); } };
  Object.assign(world, begin(48_000, more));
  world.run = async (ms) => {
    for (const end = world.ms + ms; world.ms < end; world.ms += 20) {
      world.host.currentTime = 10 + world.ms / 1000;
      world.live.perform({ ...opus(world.next), from_s: 10.3 + world.ms / 1000, until_s: 10.32 + world.ms / 1000 });
      world.next += 1;
      await soon();
    }
  };
  return world;
}

test("sx11: a decoder of ours that is lost on its way is asked for again a second or two later, and heard from then on", async () => {
  for (const [share, againMs] of [[0, 1000], [0.5, 1500], [0.999, 2000]]) {
    const lost = async (time) => { if (time === 1) throw new Error("lost"); return async () => tone; };
    const world = plain({ fetchOpus: lost, chance: () => share });
    await world.run(3000);
    assert.deepEqual(world.asked, [0, againMs]);
    assert.deepEqual(world.events, [], "the box is not asked for six times as much");
    const [first, second] = begins(world.host);
    assert.deepEqual([first, second], [10_300 + againMs, 10_320 + againMs], "what came meanwhile passes");
    assert.equal(world.host.sources.length, (3000 - againMs) / 20);
  }
});

test("sx11: a decoder of ours that never comes is asked for more and more seldom, and then the box is asked for samples, once", async () => {
  const world = plain({ fetchOpus: async () => { throw new Error("away"); } });
  await world.run(22_480);
  assert.deepEqual(world.events, []);
  await world.run(60_000);
  assert.deepEqual(world.asked, [0, 1500, 4500, 10_500, 22_500]);
  assert.deepEqual(world.events, undecodable);
  world.live.perform(chunk(0, 200));
  assert.equal(world.host.sources.length, 1, "which are heard");
});

test("sx11: a decoder of ours that breaks over a packet is made anew, and no more than that packet is missing", async () => {
  let made = 0;
  let packets = 0;
  const open = async () => {
    made += 1;
    return () => {
      packets += 1;
      if (packets % 1600 === 10) throw new Error("no packet");
      return tone();
    };
  };
  const world = plain({ fetchOpus: async () => open });
  await world.run(100_000);
  assert.deepEqual([world.asked, made, world.events], [[0], 5, []], "four in a hundred seconds");
  assert.equal(world.host.sources.length, 5000 - 4);
});

test("sx11: of a stream that cannot be decoded three packets are tried, and then the box is asked for samples, once", async () => {
  const world = plain({ fetchOpus: async () => async () => () => { throw new Error("no packet"); } });
  await world.run(10_000);
  assert.deepEqual([world.asked.length, world.events], [1, undecodable]);
  const AudioDecoder = stubDecoder(true);
  const { events, live } = begin(48_000, { AudioDecoder, EncodedAudioChunk: StubChunk });
  for (let k = 0; k < 10; k += 1) {
    live.perform(opus(k));
    await soon();
    const last = AudioDecoder.all[AudioDecoder.all.length - 1];
    if (last.state === "configured") last.breaks();
  }
  assert.deepEqual([AudioDecoder.all.length, events], [3, undecodable]);
});

test("sx11: without a context nothing is asked of one", () => {
  const live = createLive({ context: () => null, nowMs: () => 0, fetchOpus: async () => async () => () => [], tell: () => {} });
  live.perform(chunk(0, 12));
  assert.equal(withEcho(new Float32Array([1, 1]), 0, 0).length, 4);
  assert.equal(drawOut(new Float32Array(3), new Float32Array(FRAMES), { from_s: 1, until_s: 1.02 }, 48_000, 10, 48_000).length, 10);
});
