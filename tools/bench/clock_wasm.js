// What an exchange costs the phone's core in WebAssembly, through the door that the page uses.
//
// In: the newest core that cargo built (`CORE_WASM` names another). Out: one JSON document. Never: a socket, a wait.
//
// A crowd asks in virtual time. Only the call that brings an answer is timed. It also reads JSON twice and writes it
// once, so the same call with a message that means nothing is timed beside it; the difference is the clock's.
//
// The whole is done several times over. The core does the same each time, so what a call took at its shortest is its
// own, and what it took beyond was other work on the machine, and the engine's own chores.

import { begin, message, welcome } from "../../tests/page/helpers.js";

const MINUTES = 4;
const ROUNDS = 5;
/** The page coming to the front begins the burst anew, which is as fast as a phone may ask. */
const WOKE_EVERY_MS = 1250;
/** What an exchange may cost. */
const LIMIT_US = 50;
const AHEAD_MS = 1_790_000_000_000;

/** A seeded chance between 0 and 1 (mulberry32). */
function chance(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A call's time on the wall counts other processes, the process's own its other threads: the less is nearer. */
function timed(into, core, nowMs, text) {
  const [wall, own] = [performance.now(), process.cpuUsage()];
  const turn = core.handle(nowMs, { event: "heard", text });
  const { user, system } = process.cpuUsage(own);
  into.push(Math.min(user + system, (performance.now() - wall) * 1000));
  return turn;
}

async function round() {
  const spent = { answer: [], nothing: [] };
  const core = await begin("phone", 1000);
  const share = chance(7);
  const wait = () => 1.2 - Math.log(1 - share()) * (share() < 0.3 ? 0.3 : 6);
  let turn = core.handle(1000, { event: "tick" });
  turn = core.handle(1001, { event: "opened" });
  core.handle(1002, { event: "heard", text: message("hello", welcome) });
  let nowMs = 1002;
  let woke = nowMs;
  while (nowMs < MINUTES * 60_000) {
    if (turn.acts.some((act) => act.act === "ask")) {
      const t1 = nowMs / 1000;
      const heardMs = nowMs + wait();
      nowMs = Math.round((heardMs + wait()) * 10) / 10;
      const at = (AHEAD_MS + heardMs * (1 + 20e-6)) / 1000;
      const answer = { t1, t2: Number(at.toFixed(6)), t3: Number((at + 3e-5).toFixed(6)) };
      timed(spent.nothing, core, nowMs, message("a_word_of_another_version", answer));
      turn = timed(spent.answer, core, nowMs, message("clock_sync_response", answer));
    } else if (nowMs - woke >= WOKE_EVERY_MS) {
      woke = nowMs;
      turn = core.handle(nowMs, { event: "woke" });
    } else {
      nowMs = Math.max(turn.wake_ms, nowMs + 1);
      turn = core.handle(nowMs, { event: "tick" });
    }
  }
  return spent;
}

function told(rounds) {
  const shortest = rounds[0].map((_, k) => Math.min(...rounds.map((spent) => spent[k])));
  const raw = rounds.flatMap((spent) => spent);
  const sorted = [...shortest].sort((a, b) => a - b);
  const share = (part) => sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)];
  return {
    count: sorted.length,
    mean_us: sorted.reduce((sum, us) => sum + us, 0) / sorted.length,
    p50_us: share(0.5),
    p99_us: share(0.99),
    p999_us: share(0.999),
    worst_us: sorted[sorted.length - 1],
    above: sorted.filter((us) => us > LIMIT_US).length,
    raw_share_above: raw.filter((us) => us > LIMIT_US).length / raw.length,
  };
}

const rounds = [];
// Of the first the compiler has yet to warm to all of it.
await round();
for (let k = 0; k < ROUNDS; k += 1) rounds.push(await round());
const of = (name) => told(rounds.map((spent) => spent[name]));
console.log(JSON.stringify({ answer: of("answer"), nothing: of("nothing") }));
