// The socket's handling, with a socket that we hold in our hands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createLink } from "../../src/page/web/link.js";

function stubWorld() {
  const sockets = [];
  const events = [];
  class StubSocket {
    constructor(url) {
      Object.assign(this, { url, readyState: 0, sent: [], closed: false });
      sockets.push(this);
    }
    send(text) { this.sent.push(text); }
    close() { this.closed = true; }
    open() {
      this.readyState = 1;
      this.onopen();
    }
  }
  const link = createLink({ url: () => "ws://box/ws", WebSocket: StubSocket, openStream: assert.fail, nowMs: () => 123456.7, tell: (event) => events.push(event) });
  return { link, sockets, events };
}

test("it opens, tells what it hears, and says what it is told", () => {
  const { link, sockets, events } = stubWorld();
  link.perform({ act: "open" });
  link.perform({ act: "send", text: "too early" });
  sockets[0].open();
  link.perform({ act: "send", text: "hello" });
  sockets[0].onmessage({ data: "welcome" });
  sockets[0].onmessage({ data: new ArrayBuffer(3) });
  assert.deepEqual(sockets[0].sent, ["hello"]);
  assert.deepEqual(events, [{ event: "opened" }, { event: "heard", text: "welcome", at_ms: 123456.7 }]);
});

test("sx09: the page's clock goes into a question at the very sending, in seconds, to the last digit", () => {
  const { link, sockets } = stubWorld();
  link.perform({ act: "open" });
  sockets[0].open();
  link.perform({ act: "ask", head: '{"t1":', tail: "}" });
  assert.deepEqual(sockets[0].sent, ['{"t1":123.456700000}']);
});

test("a socket that was let go never speaks into the next one's life", () => {
  const { link, sockets, events } = stubWorld();
  link.perform({ act: "open" });
  link.perform({ act: "open" });
  assert.deepEqual([sockets[0].closed, sockets[0].onclose, sockets[0].onmessage], [true, null, null]);
  sockets[1].onclose();
  assert.deepEqual(events, [{ event: "closed" }]);
});

test("sx03: it knocks each time at the box that the page is with then, and an address that is none is a closed socket", async () => {
  const [urls, events] = [["ws://stage/ws", "ws://booth/ws"], []];
  const opened = [];
  class StubSocket {
    constructor(url) { opened.push(url); }
    close() {}
  }
  const url = () => urls.shift() || new URL("http://[").href;
  const link = createLink({ url, WebSocket: StubSocket, nowMs: () => 0, tell: (event) => events.push(event) });
  for (let k = 0; k < 3; k += 1) link.perform({ act: "open", url: "" });
  await Promise.resolve();
  assert.deepEqual([opened, events], [["ws://stage/ws", "ws://booth/ws"], [{ event: "closed" }]]);
});

test("a browser that refuses at once is a closed socket, told a moment later", async () => {
  const events = [];
  class Refusing { constructor() { throw new Error("no network"); } }
  const link = createLink({ url: () => "ws://box/ws", WebSocket: Refusing, nowMs: () => 0, tell: (event) => events.push(event) });
  link.perform({ act: "open" });
  assert.deepEqual(events, []);
  await Promise.resolve();
  assert.deepEqual(events, [{ event: "closed" }]);
});
