// What an exchange costs the phone's core in WebAssembly, through the door that the page uses.
//
// In: the newest core that cargo built (`CORE_WASM` names another). Out: one JSON document. Never: a socket, a wait.
//
// A crowd asks in virtual time. Only the call that brings an answer is timed, in what the process was given of the
// processor, so that other work on the machine does not count. It also reads JSON twice and writes
// it once, so the same call with a message that means nothing is timed beside it; the difference is the clock's.

import { begin, message, welcome } from "../../tests/page/helpers.js";

const MINUTES = 4;
/** The page coming to the front begins the burst anew, which is as fast as a phone may ask. */
const WOKE_EVERY_MS = 1250;
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

const core = await begin("phone", 1000);
const share = chance(7);
const wait = () => 1.2 - Math.log(1 - share()) * (share() < 0.3 ? 0.3 : 6);
const spent = { answer: [], nothing: [] };

function timed(into, nowMs, text) {
  const from = process.cpuUsage();
  const turn = core.handle(nowMs, { event: "heard", text });
  const { user, system } = process.cpuUsage(from);
  into.push(user + system);
  return turn;
}

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
    timed(spent.nothing, nowMs, message("a_word_of_another_version", answer));
    turn = timed(spent.answer, nowMs, message("clock_sync_response", answer));
  } else if (nowMs - woke >= WOKE_EVERY_MS) {
    woke = nowMs;
    turn = core.handle(nowMs, { event: "woke" });
  } else {
    nowMs = Math.max(turn.wake_ms, nowMs + 1);
    turn = core.handle(nowMs, { event: "tick" });
  }
}

/**
 * The first of them, which the compiler has yet to warm to, are left out, and of the mean the dearest fiftieth: those
 * paid for other work on the machine. A fit falls on every few answers, so that none is lost.
 */
function told(times) {
  const warm = times.slice(200).sort((a, b) => a - b);
  const kept = warm.slice(0, Math.ceil(warm.length * 0.98));
  const mean = kept.reduce((sum, us) => sum + us, 0) / kept.length;
  return { count: warm.length, mean_us: mean, p98_us: kept.at(-1), worst_us: warm.at(-1) };
}

console.log(JSON.stringify({ answer: told(spent.answer), nothing: told(spent.nothing) }));
