// Web Audio as the core asks for it, with a context that writes down what it is told.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createSound } from "../../src/page/web/sound.js";

const settled = () => new Promise((done) => { setImmediate(done); });

class StubParam {
  constructor() { this.value = 1; this.calls = []; }
  cancelScheduledValues(at) { this.calls.push(["cancel", at]); }
  setValueAtTime(value, at) { this.calls.push(["set", value, at]); }
  linearRampToValueAtTime(value, at) { this.calls.push(["line", value, at]); }
}

class StubContext {
  constructor() {
    Object.assign(this, { currentTime: 10, sampleRate: 48_000, state: "suspended", sources: [], gains: [], destination: {}, duration: 30 });
    StubContext.last = this;
  }
  async resume() { this.state = "running"; }
  createGain() {
    const gain = { gain: new StubParam(), connect() {}, disconnect() { this.gone = true; } };
    this.gains.push(gain);
    return gain;
  }
  createBufferSource() {
    const source = {
      playbackRate: new StubParam(), connect() {}, disconnect() {}, calls: [],
      start(at, offset) { this.calls.push(["start", at, offset]); },
      stop(at) { this.calls.push(["stop", at]); },
    };
    this.sources.push(source);
    return source;
  }
  createBuffer(channels, length, rate) {
    const plane = new Float32Array(length);
    return { plane, rate, getChannelData: () => plane };
  }
  decodeAudioData(bytes, ready, broken) {
    if (bytes.byteLength) ready({ duration: this.duration });
    else broken(new Error("no sound"));
  }
}

async function awake(bytes = 4, fetchReels = undefined) {
  const events = [];
  const load = async () => new ArrayBuffer(bytes);
  const sound = createSound({ AudioContext: StubContext, load, tell: (event) => events.push(event), chirp: () => new Float32Array([0, 0.5, 0]), fetchReels });
  sound.perform({ act: "fetch", track_id: "track_001", url: "/media/ab" });
  assert.equal(await sound.wake(), true);
  await settled();
  return { sound, events, context: StubContext.last };
}

const begin = { act: "begin", segment: 1, voice: 1, track_id: "track_001", at_s: 12, offset_s: 3, rate: 1.0001, looped: false, rise_s: 0 };

const fetched = { event: "media_fetched", track_id: "track_001" };

test("sx12: a track that has come is told of before the tap, and decoded after it", async () => {
  const events = [];
  const sound = createSound({ AudioContext: StubContext, load: async () => new ArrayBuffer(4), tell: (event) => events.push(event) });
  sound.perform({ act: "fetch", track_id: "track_001", url: "/media/ab" });
  await settled();
  assert.deepEqual(events, [fetched]);
  await sound.wake();
  await settled();
  assert.deepEqual(events, [fetched, { event: "media_ready", track_id: "track_001", duration_s: 30 }]);
});

test("what was let go of while it came is not told of", async () => {
  const events = [];
  const sound = createSound({ AudioContext: StubContext, load: async () => new ArrayBuffer(4), tell: (event) => events.push(event) });
  sound.perform({ act: "fetch", track_id: "track_001", url: "/media/ab" });
  sound.perform({ act: "forget", track_id: "track_001" });
  await settled();
  assert.deepEqual(events, []);
});

test("a film that is let go of while what shows films comes is not loaded", async () => {
  const loaded = [];
  const events = [];
  const film = Uint8Array.of(0, 0, 0, 0, 0x66, 0x74, 0x79, 0x70).buffer;
  let come = () => {};
  const fetchFilms = () => new Promise((done) => { come = () => done({ load: async (track) => loaded.push(track), forget() {} }); });
  const sound = createSound({ AudioContext: StubContext, load: async () => film, tell: (event) => events.push(event), fetchFilms });
  await sound.wake();
  sound.perform({ act: "fetch", track_id: "track_001", url: "/media/ab" });
  await settled();
  sound.perform({ act: "forget", track_id: "track_001" });
  come();
  await settled();
  assert.deepEqual([loaded, events], [[], []]);
});

test("what cannot be decoded or fetched is told, each as what it is", async () => {
  const { events } = await awake(0);
  assert.deepEqual(events, [fetched, { event: "media_undecodable", track_id: "track_001" }]);
  const told = [];
  const sound = createSound({ AudioContext: StubContext, load: async () => { throw new Error("404"); }, tell: (event) => told.push(event) });
  sound.perform({ act: "fetch", track_id: "a", url: "/media/a" });
  await settled();
  assert.deepEqual(told, [{ event: "media_failed", track_id: "a" }]);
});

test("a piece starts at its audio time, at its place, at its rate", async () => {
  const { sound, context } = await awake();
  sound.perform(begin);
  const [source] = context.sources;
  assert.deepEqual(source.calls, [["start", 12, 3]]);
  assert.deepEqual([source.playbackRate.value, source.loop], [1.0001, false]);
});

test("a piece told too late starts as far in as it would be", async () => {
  const { sound, context } = await awake();
  sound.perform({ ...begin, at_s: 9, rate: 1 });
  assert.deepEqual(context.sources[0].calls, [["start", 10, 4]]);
  sound.perform({ ...begin, segment: 2, at_s: -30, rate: 1 });
  assert.equal(context.sources.length, 1, "one whose time has passed does not start");
});

test("a re-anchor fades the old piece out and the new one in over the same time", async () => {
  const { sound, context } = await awake();
  sound.perform(begin);
  sound.perform({ act: "end", segment: 1, at_s: 15, fall_s: 0.03 });
  sound.perform({ ...begin, segment: 2, at_s: 15, rise_s: 0.03 });
  const fades = context.gains.map(({ gain }) => gain.calls).filter((calls) => calls.length > 0);
  assert.deepEqual(fades[0], [["cancel", 15], ["set", 1, 15], ["line", 0, 15.03]]);
  assert.deepEqual(fades[1], [["cancel", 15], ["set", 0, 15], ["line", 1, 15.03]]);
  assert.deepEqual(context.sources[0].calls.at(-1), ["stop", 15.03]);
});

test("a voice's volume is straight lines through the points it is given", async () => {
  const { sound, context } = await awake();
  sound.perform({ act: "gain", voice: 1, points: [[11, 0], [12, 0.8], [14, 0.8]] });
  assert.deepEqual(context.gains[0].gain.calls, [["cancel", 11], ["set", 0, 11], ["line", 0.8, 12], ["line", 0.8, 14]]);
});

test("rates are set at their time, and a piece that ended is forgotten with its voice", async () => {
  const { sound, context } = await awake();
  sound.perform(begin);
  sound.perform({ act: "rate", segment: 1, at_s: 13, rate: 0.999 });
  assert.deepEqual(context.sources[0].playbackRate.calls, [["set", 0.999, 13]]);
  context.sources[0].onended();
  assert.ok(context.gains.every(({ gone }) => gone));
  sound.perform({ act: "rate", segment: 1, at_s: 14, rate: 1 });
  sound.perform({ act: "end", segment: 1, at_s: 14, fall_s: 0 });
  assert.equal(context.sources[0].calls.length, 1);
});

test("a look says what the browser knows and leaves out what it does not", async () => {
  const { sound, context } = await awake();
  const look = { event: "audio", running: true, audio_s: 10, latency_s: null, output: null };
  assert.deepEqual(sound.look(), look);
  context.outputLatency = 0.02;
  context.getOutputTimestamp = () => ({ contextTime: 9.98, performanceTime: 500 });
  assert.deepEqual(sound.look(), { ...look, latency_s: 0.02, output: { audio_s: 9.98, page_ms: 500 } });
  context.getOutputTimestamp = () => ({ contextTime: 0, performanceTime: 0 });
  assert.equal(sound.look().output, null);
});

test("a browser that may freeze when it is asked how late it is is not asked", async () => {
  const world = { AudioContext: StubContext, load: async () => new ArrayBuffer(0), tell() {}, tellsLatency: false };
  const sound = createSound(world);
  await sound.wake();
  const asked = () => { throw new Error("asked"); };
  Object.defineProperty(StubContext.last, "outputLatency", { get: asked });
  StubContext.last.getOutputTimestamp = asked;
  assert.deepEqual(sound.look(), { event: "audio", running: true, audio_s: 10, latency_s: null, output: null });
});

test("before the first tap there is no context and nothing to look at", () => {
  const sound = createSound({ AudioContext: StubContext, load: async () => new ArrayBuffer(0), tell() {} });
  assert.equal(sound.look(), null);
  sound.perform(begin);
});

test("a browser without Web Audio says so", async () => {
  const sound = createSound({ AudioContext: undefined, load: async () => new ArrayBuffer(0), tell() {} });
  assert.equal(await sound.wake(), false);
});

test("sx20: a chirp goes the way that music goes, at its audio time", async () => {
  const { sound, context } = await awake();
  sound.perform({ act: "chirp", at_s: 12.5 });
  const [source] = context.sources;
  assert.deepEqual([source.calls, [...source.buffer.plane], source.buffer.rate], [[["start", 12.5, undefined]], [0, 0.5, 0], 48_000]);
});

test("what a call has stopped goes on by itself when the page is there again", async () => {
  const { sound, events, context } = await awake();
  context.state = "interrupted";
  context.onstatechange();
  assert.deepEqual([events.at(-1).event, events.at(-1).running], ["audio", false]);
  sound.cameBack();
  context.onstatechange();
  assert.equal(events.at(-1).running, true);
});

test("a browser that wants another tap is not asked twice", async () => {
  const { sound, context } = await awake();
  context.state = "suspended";
  context.resume = async () => { throw new Error("NotAllowedError"); };
  sound.cameBack();
  await settled();
  assert.equal(sound.look().running, false, "the core asks for the tap");
});

test("sx10: a track that is let go of while it comes is fetched no further", async () => {
  const signals = [];
  const load = (_, signal) => new Promise((_, refuse) => {
    signals.push(signal);
    signal.addEventListener("abort", () => refuse(new Error("called off")));
  });
  const told = [];
  const sound = createSound({ AudioContext: StubContext, load, tell: (event) => told.push(event) });
  const fetchIt = () => sound.perform({ act: "fetch", track_id: "track_001", url: "/media/1" });
  fetchIt();
  sound.perform({ act: "forget", track_id: "track_001" });
  await settled();
  assert.equal(signals[0].aborted, true);
  assert.deepEqual(told, [], "which is no failure");
  fetchIt();
  assert.equal(signals[1].aborted, false, "it may come again");
});

test("what plays a film or a long track comes before the tap, and while it does not come the track has not come either", async () => {
  const film = Uint8Array.of(0, 0, 0, 0, 0x66, 0x74, 0x79, 0x70).buffer;
  for (const [data, fetcher] of [[film, "fetchFilms"], [new ArrayBuffer(3_000_000), "fetchReels"]]) {
    const events = [];
    const tell = (event) => events.push(event);
    let isAway = true;
    const fetchIt = async () => {
      if (isAway) throw new Error("the network is away");
      return { load: async () => 400 };
    };
    const sound = createSound({ AudioContext: StubContext, load: async () => data, tell, [fetcher]: fetchIt });
    const fetch = async () => {
      sound.perform({ act: "fetch", track_id: "track_001", url: "/media/ab" });
      await settled();
    };
    await fetch();
    assert.deepEqual(events, [{ event: "media_failed", track_id: "track_001" }], fetcher);
    isAway = false;
    await fetch();
    isAway = true;
    await sound.wake();
    await settled();
    assert.deepEqual(events.slice(1), [fetched, { event: "media_ready", track_id: "track_001", duration_s: 400 }], fetcher);
  }
});

/** Something that plays long tracks, and writes down what it is told. */
function stubReels(lengthS) {
  const told = [];
  let over;
  const reels = {
    load: async () => lengthS, has: () => true, owns: () => true, forget: (track) => told.push(["forget", track]),
    begin: (_, act, out, ended) => { told.push(["begin", act.segment]); over = ended; },
    rate: (_, act) => told.push(["rate", act.rate]), end: (_, act) => told.push(["end", act.at_s]),
  };
  return { told, over: () => over(), fetch: async () => reels };
}

test("a long track is played by pieces, under its own fade and its voice's, until it is over", async () => {
  const reels = stubReels(3_600);
  const { sound, events, context } = await awake(3_000_000, reels.fetch);
  assert.deepEqual(events, [fetched, { event: "media_ready", track_id: "track_001", duration_s: 3_600 }]);
  sound.perform({ ...begin, rise_s: 0.01 });
  sound.perform({ act: "rate", segment: 1, at_s: 13, rate: 1.001 });
  sound.perform({ act: "end", segment: 1, at_s: 14, fall_s: 0.01 });
  assert.deepEqual(reels.told, [["begin", 1], ["rate", 1.001], ["end", 14]]);
  const [fade, voice] = context.gains;
  assert.deepEqual(fade.gain.calls.slice(-1), [["line", 0, 14.01]]);
  assert.equal(context.sources.length, 0, "nothing was decoded whole");
  reels.over();
  assert.deepEqual([fade.gone, voice.gone], [true, true], "its nodes are gone");
  sound.perform({ act: "forget", track_id: "track_001" });
  assert.deepEqual(reels.told.pop(), ["forget", "track_001"]);
});

test("what is large and not long, or not to be cut, is decoded whole", async () => {
  const { events } = await awake(3_000_000, stubReels(null).fetch);
  assert.deepEqual(events, [fetched, { event: "media_ready", track_id: "track_001", duration_s: 30 }]);
});
