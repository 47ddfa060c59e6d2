// Films on a screen that we hold in our hands, by the WebAssembly that holds them to the audio clock. How well it does is
// tested where it is (src/phone/film).

import assert from "node:assert/strict";
import { test } from "node:test";
import { createFilms } from "../../src/page/web/films.js";
import { openPictures } from "../../src/page/web/pictures.js";
import { picturesBytes } from "./helpers.js";

/** Files that the browser holds. */
const held = new Set();
let files = 0;
globalThis.URL.createObjectURL = () => {
  held.add(`blob:${++files}`);
  return `blob:${files}`;
};
globalThis.URL.revokeObjectURL = (url) => held.delete(url);

/** What a browser does when it is told to load a file. */
const shows = (video) => video.oncanplaythrough();
const cannot = (video) => video.onerror();
const takesLong = () => {};

/** A browser whose time is in `world.ms`; it shows a frame whenever the film is at another one. */
async function stubBrowser(loads = shows) {
  const door = await openPictures(picturesBytes());
  const world = { ms: 0, video: null, sets: [], look: null, frames: [], onPage: 0 };
  const createElement = (kind) => {
    const element = {
      kind, hidden: false, paused: true, seeking: false, playbackRate: 1, duration: 60, place: 0, setAttribute() {},
      append() { world.onPage += 1; },
      remove() { world.onPage -= 1; },
      removeAttribute() { this.src = ""; },
      play() { this.paused = false; return Promise.resolve(); },
      pause() { this.paused = true; },
      load() { if (this.src) loads(this); },
      requestVideoFrameCallback(look) { world.look = look; },
      get currentTime() { return this.place; },
      set currentTime(at) { world.sets.push(at); this.place = at; },
    };
    if (kind === "video") world.video = element;
    return element;
  };
  const document = { createElement, body: { prepend() {} } };
  const films = createFilms({
    document, door, nowMs: () => world.ms, look: () => world.heard(), delayMs: () => 0, nextFrame: (act) => world.frames.push(act),
  });
  world.heard = () => ({ audio_s: world.ms / 1000, latency_s: null, output: null });
  /** Time goes by, ten milliseconds at a time, and each frame of 40 ms is looked at. */
  world.run = (ms) => {
    for (const end = world.ms + ms; world.ms < end;) {
      world.ms += 10;
      const before = Math.floor(world.video.place / 0.04);
      if (!world.video.paused) world.video.place += 0.01 * world.video.playbackRate;
      world.frames.splice(0).forEach((act) => act());
      if (Math.floor(world.video.place / 0.04) === before || !world.look) continue;
      const look = world.look;
      look(world.ms, { mediaTime: Math.floor(world.video.place / 0.04) * 0.04, expectedDisplayTime: world.ms });
    }
  };
  return { world, films };
}

const begin = { act: "begin", segment: 1, voice: 1, track_id: "film", at_s: 1, offset_s: 5, rate: 1, looped: false, rise_s: 0 };
const hear = () => ({});

async function playing(more = {}) {
  const { world, films } = await stubBrowser();
  assert.equal(await films.load("film", {}), 60);
  films.begin({ ...begin, ...more }, hear);
  return { world, films };
}

test("a film is laid ready unseen and begins at its time, from its place", async () => {
  const { world } = await playing();
  world.run(900);
  assert.deepEqual([world.video.hidden, world.video.paused, world.sets], [true, true, [5]]);
  world.run(200);
  assert.deepEqual([world.video.hidden, world.video.paused], [false, false]);
  assert.ok(Math.abs(world.video.place - 5.1) < 0.02, `${world.video.place}`);
});

test("more than a frame is too much: it is set anew", async () => {
  const { world } = await playing();
  world.run(1500);
  const sets = world.sets.length;
  world.video.place -= 0.5;
  world.run(2000);
  assert.ok(world.sets.length > sets);
  world.run(5000);
  assert.ok(Math.abs(world.video.place - (5 + world.ms / 1000 - 1)) < 0.04, `${world.video.place}`);
});

test("what the browser says of its output counts, and what the core knows better goes before it", async () => {
  const { world, films } = await stubBrowser();
  await films.load("film", {});
  world.heard = () => ({ audio_s: 9, latency_s: 9, output: { audio_s: world.ms / 1000 - 0.2, page_ms: world.ms } });
  films.begin(begin, hear);
  world.run(1100);
  assert.equal(world.video.hidden, true, "heard 200 ms later");
  world.run(150);
  assert.equal(world.video.hidden, false);
});

test("without the browser's word on each picture, where it is is looked at with each frame of the page", async () => {
  const { world, films } = await stubBrowser();
  await films.load("film", {});
  world.video.requestVideoFrameCallback = undefined;
  films.begin(begin, hear);
  world.run(1500);
  world.video.place -= 0.5;
  world.run(3000);
  assert.ok(Math.abs(world.video.place - (5 + world.ms / 1000 - 1)) < 0.04, `${world.video.place}`);
});

test("a film follows the sound's own rate, ends with it, and a loop begins again", async () => {
  const { world, films } = await playing({ looped: true, offset_s: 59 });
  assert.ok(films.owns(1) && !films.owns(2));
  world.run(1900);
  world.video.place = 0;
  films.rate({ act: "rate", segment: 1, at_s: 2, rate: 1.002 });
  world.run(3000);
  assert.ok(Math.abs(world.video.playbackRate - 1.002) < 0.06);
  films.end({ act: "end", segment: 1, at_s: world.ms / 1000 + 0.5, fall_s: 0.1 });
  world.run(1000);
  assert.deepEqual([world.video.hidden, world.video.paused, films.owns(1)], [true, true, false]);
  films.forget("film");
  assert.equal(films.has("film"), false);
});

test("a film that the browser cannot show is let go of, however often it is tried, and so is one whose time is over", async () => {
  held.clear();
  const { world, films } = await stubBrowser(cannot);
  for (let k = 0; k < 5; k += 1) await assert.rejects(films.load("film", {}), /cannot show/);
  assert.deepEqual([held.size, world.onPage, films.has("film")], [0, 0, false]);
  const other = await stubBrowser();
  await other.films.load("film", {});
  assert.deepEqual([held.size, other.world.onPage], [1, 1]);
  other.films.forget("film");
  assert.deepEqual([held.size, other.world.onPage], [0, 0]);
});

test("a film that is unloaded or comes again while it loads is let go of, and what the browser says of it then is nothing", async () => {
  held.clear();
  const { world, films } = await stubBrowser(takesLong);
  const gone = films.load("film", {});
  const { video } = world;
  films.forget("film");
  await assert.rejects(gone, /nobody wants/);
  assert.deepEqual([held.size, world.onPage, video.oncanplaythrough, video.onerror], [0, 0, null, null]);
  const [first, second] = [films.load("film", {}), films.load("film", {})];
  await assert.rejects(first, /nobody wants/);
  world.video.oncanplaythrough();
  assert.equal(await second, 60);
  assert.deepEqual([held.size, world.onPage, films.has("film")], [1, 1, true]);
});
