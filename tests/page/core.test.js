// The WebAssembly core through its door, as the page uses it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { begin, coreBytes, message, vectors, welcome } from "./helpers.js";

/** What the page sends; a question has the page's clock in it, as `link.js` puts it there. */
const sends = (turn, nowMs) => turn.acts
  .filter(({ act }) => act === "send" || act === "ask")
  .map((act) => JSON.parse(act.act === "send" ? act.text : act.head + (nowMs / 1000).toFixed(9) + act.tail));

/** A core whose box answers each question after 4 ms there and 4 ms back. */
async function inStep(role = "phone", unixMs = 1_790_000_000_000, ownUnixMs = unixMs) {
  const core = await begin(role, 1000, ownUnixMs);
  const net = (nowMs) => (unixMs + nowMs - 1000) / 1000;
  core.handle(1000, { event: "tick" });
  let turn = core.handle(1000, { event: "opened" });
  core.handle(1001, { event: "heard", text: message("hello", welcome) });
  let nowMs = 1000;
  for (let k = 0; k < 20; k += 1) {
    const asked = sends(turn, nowMs).find((said) => said.type === "clock_sync");
    if (asked) {
      const answer = { t1: asked.t1, t2: net(nowMs + 4), t3: net(nowMs + 4) };
      core.handle(nowMs + 8, { event: "heard", text: message("clock_sync_response", answer) });
    }
    nowMs = Math.max(turn.wake_ms, nowMs + 9);
    turn = core.handle(nowMs, { event: "tick" });
  }
  return { core, nowMs, net };
}

test("sx18: the core needs nothing of its surroundings", async () => {
  const module = await WebAssembly.compile(coreBytes());
  assert.deepEqual(WebAssembly.Module.imports(module), []);
});

test("a page that opens knocks at the box and says hello before all else", async () => {
  const core = await begin();
  assert.deepEqual(core.handle(1000, { event: "tick" }).acts[0], { act: "open", url: "" });
  const said = sends(core.handle(1010, { event: "opened" }), 1010);
  assert.deepEqual(said.map(({ type }) => type), ["hello", "clock_sync"]);
  assert.match(said[0].header.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(said[1].t1, 1.01);
});

test("sx09: after the burst the phone has the box's time and says how far to trust it", async () => {
  const { core, nowMs, net } = await inStep("screen", 1_790_000_000_000, 1_790_000_123_456);
  const errorMs = core.netMs(nowMs) - net(nowMs) * 1000;
  assert.ok(Math.abs(errorMs) < 0.6, `${errorMs} ms`);
  const { state } = core.look(nowMs);
  assert.equal(state.state, "in_step");
  assert.ok(state.bound_ms >= 4 && state.bound_ms < 6, `${state.bound_ms}`);
});

test("a screen takes its colour at the cue's time and says until when it stays", async () => {
  const { core, nowMs, net } = await inStep("screen");
  const order = { start_at: net(nowMs + 500), color: "#ff9030", from_color: "#000000", fade_ms: 1000, text: "Now" };
  core.handle(nowMs, { event: "heard", text: message("screen", order, net(nowMs)) });
  const before = core.look(nowMs + 400);
  assert.deepEqual([before.color, before.text], ["#000000", ""]);
  assert.ok(Math.abs(before.still_until_ms - (nowMs + 500)) < 2);
  assert.ok(["#804818", "#7f4818"].includes(core.look(nowMs + 1000).color), core.look(nowMs + 1000).color);
  const after = core.look(nowMs + 1600);
  assert.deepEqual([after.color, after.text, after.ink, after.still_until_ms], ["#ff9030", "Now", "dark", null]);
});

test("a track begins at its place on the audio clock", async () => {
  const { core, nowMs, net } = await inStep();
  const audio = (at) => ({ event: "audio", running: true, audio_s: (at - 1000) / 1000, latency_s: 0.01, output: null });
  core.handle(nowMs, { event: "tapped" });
  core.handle(nowMs, { event: "media_ready", track_id: "track_001", duration_s: 30 });
  for (let k = 0; k < 8; k += 1) core.handle(nowMs + k * 50, audio(nowMs + k * 50));
  const order = { action: "play", track_id: "track_001", start_at: net(nowMs + 1400), params: { loop_count: 0 } };
  const { acts } = core.handle(nowMs + 400, { event: "heard", text: message("media_control", order, net(nowMs)) });
  const begun = acts.find(({ act }) => act === "begin");
  // Heard 10 ms after it is made, so it is made 10 ms sooner.
  assert.ok(Math.abs(begun.at_s - (nowMs + 1400 - 1000) / 1000 + -0.01 + 0.02) < 0.002, JSON.stringify(begun));
  assert.deepEqual([begun.offset_s < 0.001 || begun.offset_s > 29.999, begun.looped, begun.rise_s], [true, true, 0]);
});

test("sx20: what early and late is can be moved once a track has sounded, and not before", async () => {
  const { core, nowMs, net } = await inStep();
  const tick = (atMs) => core.handle(atMs, { event: "audio", running: true, audio_s: (atMs - 1000) / 1000, latency_s: 0.01, output: null }).look;
  core.handle(nowMs, { event: "tapped" });
  core.handle(nowMs, { event: "media_ready", track_id: "track_001", duration_s: 30 });
  for (let k = 0; k < 8; k += 1) assert.equal(tick(nowMs + k * 50).ear, "closed");
  const order = { action: "play", track_id: "track_001", start_at: net(nowMs + 1400), params: { loop_count: 1 } };
  core.handle(nowMs + 400, { event: "heard", text: message("media_control", order, net(nowMs)) });
  const looks = [1000, 1500].map((ms) => tick(nowMs + ms));
  assert.deepEqual(looks.map(({ fare, ear }) => [fare.doing, ear]).at(-1), ["playing", "nudges"]);
  const stop = { action: "stop", track_id: "track_001", start_at: net(nowMs + 1600) };
  core.handle(nowMs + 1550, { event: "heard", text: message("media_control", stop, net(nowMs + 1550)) });
  for (let ms = 1600; ms < 3000; ms += 50) tick(nowMs + ms);
  assert.deepEqual([tick(nowMs + 3000).fare.doing, tick(nowMs + 3000).ear], ["ready", "nudges"], "and from then on");
});

test("sx11: a page that sees a live film says that it plays, heard or not", async () => {
  const { core, nowMs } = await inStep("screen");
  const counts = { shown: 3, held: 0, skipped: 0, late: 0, lost: 0 };
  const doing = (seen) => core.handle(nowMs, { event: "pictures", seen, counts }).look.fare.doing;
  assert.deepEqual([doing(true), doing(false)], ["playing", "ready"]);
});

test("a phone that nobody tapped says so and makes no sound", async () => {
  const { core, nowMs } = await inStep();
  const { state, fare } = core.look(nowMs);
  assert.deepEqual([state.state, fare.state], ["tap_to_start", "loading"]);
});

test("sx07: no vector and no hostile text disturbs the core", async () => {
  const { core, nowMs } = await inStep();
  const texts = vectors().map(({ text }) => text);
  const hostile = ["\u0000", "💥".repeat(1000), "{".repeat(10_000), '{"type":1}', "1e999"];
  assert.ok(texts.length > 40);
  [...texts, ...hostile].forEach((text, k) => {
    const turn = core.handle(nowMs + k, { event: "heard", text });
    assert.ok(Number.isFinite(turn.wake_ms));
  });
});

test("sx16 sx17: every refusal is understood, and a phone that is refused something goes on", async () => {
  const codes = ["forbidden", "invalid_payload", "rate_limited", "too_many_connections", "unauthorized", "version_mismatch"];
  const refusals = vectors().filter(({ is }) => is === "error");
  assert.deepEqual([...new Set(refusals.map(({ text }) => JSON.parse(text).code))].sort(), codes);
  for (const { name, text } of refusals) {
    const { core, nowMs } = await inStep();
    core.handle(nowMs, { event: "heard", text });
    const order = message("screen", { color: "#ff0000" }, 1_790_000_000);
    const turn = core.handle(nowMs + 1, { event: "heard", text: order });
    assert.ok(Number.isFinite(turn.wake_ms), name);
    assert.equal(core.look(nowMs + 2000).color, "#ff0000", name);
  }
});

test("an event that is none is refused and the core lives on", async () => {
  const core = await begin();
  assert.throws(() => core.handle(1000, { event: "earthquake" }), /did not understand/);
  assert.ok(core.handle(1001, { event: "tick" }).acts.length > 0);
});
