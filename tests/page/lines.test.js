// Messages on a stream, with one that we hold in our hands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createLink } from "../../src/page/web/link.js";

const soon = () => new Promise((done) => { setImmediate(done); });
const octets = (text) => new TextEncoder().encode(text);

function stubStream() {
  const said = [];
  const it = { said, isFinished: false, isDropped: false };
  it.readable = new ReadableStream({ start: (incoming) => { it.incoming = incoming; }, cancel: () => { it.isDropped = true; } });
  it.writable = new WritableStream({ write: (bytes) => { said.push(new TextDecoder().decode(bytes)); }, close: () => { it.isFinished = true; } });
  return it;
}

function stubWorld(opening) {
  const events = [];
  const sockets = [];
  class StubSocket {
    constructor() { sockets.push(this); }
    send() { assert.fail("nobody speaks there"); }
    close() { this.isClosed = true; }
  }
  const tell = (event) => events.push(event);
  const link = createLink({ url: () => "wss://box/ws", WebSocket: StubSocket, openStream: () => opening, nowMs: () => 123456.7, tell });
  return { link, events, sockets };
}

test("sx20: a stream takes the socket's place, says a line a message, and hears lines however they were cut", async () => {
  const stream = stubStream();
  const { link, events, sockets } = stubWorld(Promise.resolve(stream));
  link.perform({ act: "open", url: "" });
  link.perform({ act: "open_stream" });
  assert.ok(sockets[0].isClosed && !sockets[0].onclose, "and is silent about it");
  link.perform({ act: "send", text: "too early" });
  await soon();
  link.perform({ act: "send", text: "hello" });
  link.perform({ act: "ask", head: "{", tail: "}" });
  const beat = octets('{"text":"♥"}\n{"b"');
  stream.incoming.enqueue(beat.slice(0, 11));
  stream.incoming.enqueue(beat.slice(11));
  stream.incoming.enqueue(octets(":1}\n"));
  await soon();
  assert.deepEqual(stream.said, ["hello\n", "{123.456700000}\n"]);
  const heard = ['{"text":"♥"}', '{"b":1}'].map((text) => ({ event: "heard", text, at_ms: 123456.7 }));
  assert.deepEqual(events, [{ event: "opened" }, ...heard]);
});

test("sx20: a stream that ends, breaks or would not open says so once", async () => {
  for (const end of [({ incoming }) => incoming.close(), ({ incoming }) => incoming.error(new Error("gone"))]) {
    const stream = stubStream();
    const { link, events } = stubWorld(Promise.resolve(stream));
    link.perform({ act: "open_stream" });
    await soon();
    end(stream);
    await soon();
    assert.deepEqual(events, [{ event: "opened" }, { event: "closed" }]);
    link.perform({ act: "send", text: "nobody hears it" });
  }
  const { link, events } = stubWorld(Promise.reject(new Error("no session")));
  link.perform({ act: "open_stream" });
  await soon();
  assert.deepEqual(events, [{ event: "closed" }]);
});

test("sx20: a stream that was let go is ended both ways and never speaks into the next one's life", async () => {
  const stream = stubStream();
  const { link, events } = stubWorld(Promise.resolve(stream));
  link.perform({ act: "open_stream" });
  await soon();
  link.perform({ act: "close" });
  await soon();
  assert.ok(stream.isFinished && stream.isDropped);
  const late = stubStream();
  const slow = stubWorld(soon().then(() => late));
  slow.link.perform({ act: "open_stream" });
  slow.link.perform({ act: "close" });
  await soon();
  await soon();
  assert.ok(late.isFinished && late.isDropped, "it came too late");
  assert.deepEqual([events, slow.events], [[{ event: "opened" }], []]);
});
