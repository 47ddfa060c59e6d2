// WebTransport's handling, with a session that we hold in our hands, and the vectors that Rust reads, too.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createTime, hex, octets, stamped } from "../../src/page/web/time.js";
import { begin, datagram, message, welcome } from "./helpers.js";

const HASH = "ab".repeat(32);
const door = { url: "https://box/sync?phone=7", certificate_hashes: [HASH] };
const soon = () => new Promise((done) => { setImmediate(done); });

function stubWorld(ready = Promise.resolve()) {
  const sessions = [];
  const events = [];
  class StubTransport {
    constructor(url, options) {
      Object.assign(this, { url, options, sent: [], isClosed: false, ready });
      this.closed = new Promise((done) => { this.end = done; });
      const readable = new ReadableStream({ start: (it) => { this.incoming = it; } });
      const writable = new WritableStream({ write: (bytes) => { this.sent.push(hex(bytes)); } });
      this.datagrams = { readable, writable };
      sessions.push(this);
    }
    close() { this.isClosed = true; }
  }
  const tell = (event) => events.push(event);
  return { time: createTime({ WebTransport: StubTransport, nowMs: () => 123456.7, tell }), sessions, events };
}

const open = { act: "open_time", url: door.url, hashes: [HASH] };
const ask = { act: "ask_time", channel: "web_transport", octets: "01000000000000000000", clock_at: 2 };

test("it opens with the hashes it was told, asks with its clock, and tells what it hears and when", async () => {
  const { time, sessions, events } = stubWorld();
  time.perform(ask);
  time.perform(open);
  await soon();
  const [session] = sessions;
  assert.equal(session.url, door.url);
  const [{ algorithm, value }] = session.options.serverCertificateHashes;
  assert.deepEqual([algorithm, hex(value)], ["sha-256", HASH]);
  time.perform(ask);
  session.incoming.enqueue(datagram("answer.txt"));
  await soon();
  assert.deepEqual(session.sent, [hex(datagram("question.txt"))]);
  assert.deepEqual(events, [
    { event: "time_opened", channel: "web_transport" },
    { event: "time_heard", channel: "web_transport", octets: hex(datagram("answer.txt")), at_ms: 123456.7 },
  ]);
  session.incoming.close();
  await soon();
  assert.deepEqual(events[2], { event: "time_closed", channel: "web_transport" });
});

test("a session that was let go never speaks into the next one's life", async () => {
  const { time, sessions, events } = stubWorld();
  time.perform(open);
  await soon();
  time.perform(open);
  await soon();
  sessions[0].incoming.enqueue(datagram("answer.txt"));
  sessions[0].incoming.close();
  await soon();
  assert.ok(sessions[0].isClosed);
  assert.deepEqual(events.map(({ event }) => event), ["time_opened", "time_opened"]);
});

test("a browser without WebTransport, and one that refuses, say that it is closed", async () => {
  const events = [];
  const absent = createTime({ WebTransport: undefined, nowMs: () => 0, tell: (event) => events.push(event) });
  absent.perform(open);
  const { time, events: told } = stubWorld(Promise.reject(new Error("no UDP here")));
  time.perform(open);
  await soon();
  assert.deepEqual([events, told], Array(2).fill([{ event: "time_closed", channel: "web_transport" }]));
});

test("octets come back the same from hexadecimal", () => {
  assert.equal(hex(octets("00ff10")), "00ff10");
  assert.equal(octets("").length, 0);
  assert.equal(hex(stamped(octets("01000000000000000000"), 2, 123456.7)), hex(datagram("question.txt")));
});

test("sx09: the core asks in datagrams where there is a door, and is in step by them", async () => {
  const core = await begin("screen", 1000);
  const ahead = 1_790_000_000_000 - 1000;
  core.handle(1000, { event: "tick" });
  core.handle(1000, { event: "opened" });
  const { acts } = core.handle(1001, { event: "heard", text: message("hello", { ...welcome, webtransport: door }) });
  assert.deepEqual(acts.filter(({ act }) => act === "open_time"), [open]);
  let turn = core.handle(1002, { event: "time_opened", channel: "web_transport" });
  let nowMs = 1002;
  let asked = 0;
  while (asked < 12) {
    for (const act of turn.acts.filter((it) => it.act === "ask_time")) {
      asked += 1;
      const octetsOf = hex(answered(octets(act.octets), act.clock_at, nowMs, nowMs + ahead + 2));
      core.handle(nowMs + 4, { event: "time_heard", channel: act.channel, octets: octetsOf, at_ms: nowMs + 4 });
    }
    nowMs = Math.max(turn.wake_ms, nowMs + 5);
    turn = core.handle(nowMs, { event: "tick" });
  }
  const errorMs = core.netMs(nowMs) - nowMs - ahead;
  assert.ok(Math.abs(errorMs) < 0.6, `${errorMs} ms`);
  assert.equal(core.look(nowMs).state.state, "in_step");
});

/** The answer of a box whose clock shows so many milliseconds of UNIX time. */
function answered(question, clockAt, nowMs, unixMs) {
  const bytes = new Uint8Array(26);
  bytes.set(stamped(question, clockAt, nowMs));
  bytes[1] = 1;
  const view = new DataView(bytes.buffer);
  const ns = BigInt(Math.round(unixMs * 1e3)) * 1000n;
  view.setBigInt64(10, ns);
  view.setBigInt64(18, ns);
  return bytes;
}
