// The peer connection's handling, with a connection and a socket that we hold in our hands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createEar, createPeer } from "../../src/page/web/peer.js";
import { hex } from "../../src/page/web/time.js";
import { begin, datagram, message, welcome } from "./helpers.js";

const BOX = "00000000-0000-4000-8000-00000000000b";
const ME = "00000000-0000-4000-8000-00000000000e";
const door = { room_id: "00000000-0000-4000-8000-000000000001", participant_id: BOX };
const soon = () => new Promise((done) => { setImmediate(done); });
const people = { type: "RoomParticipants", room_id: door.room_id, participants: [BOX, ME] };
const ask = { act: "ask_time", channel: "data_channel", octets: "01000000000000000000", clock_at: 2 };

function stubWorld() {
  const world = { connections: [], sockets: [], events: [], heard: [] };
  class StubConnection {
    constructor(configuration) {
      Object.assign(this, {
        configuration, channels: {}, transceivers: [], offers: [], remote: [], signalingState: "stable",
        iceConnectionState: "new", isClosed: false,
      });
      world.connections.push(this);
    }
    createDataChannel(label, how) {
      this.channels[label] = { label, how, sent: [], readyState: "connecting", send(bytes) { this.sent.push(hex(bytes)); } };
      return this.channels[label];
    }
    addTransceiver(kind, { direction }) { this.transceivers.push([kind, direction]); }
    async createOffer(how) {
      this.offers.push(how);
      return { type: "offer", sdp: `offer ${this.offers.length}` };
    }
    async createAnswer() { return { type: "answer", sdp: "our answer" }; }
    async setLocalDescription(description) {
      this.localDescription = description;
      this.signalingState = description.type === "offer" ? "have-local-offer" : "stable";
    }
    async setRemoteDescription(description) {
      if (description.sdp === "nonsense") throw new Error("no session description");
      this.remote.push(description);
      this.signalingState = description.type === "offer" ? "have-remote-offer" : "stable";
    }
    close() { this.isClosed = true; }
    become(state) {
      this.iceConnectionState = state;
      this.oniceconnectionstatechange();
    }
  }
  class StubSocket {
    constructor(url) {
      Object.assign(this, { url, sent: [], readyState: 0 });
      world.sockets.push(this);
    }
    send(text) { this.sent.push(JSON.parse(text)); }
    close() { this.readyState = 3; }
    open() {
      this.readyState = 1;
      this.onopen();
    }
    say(words) { this.onmessage({ data: typeof words === "string" ? words : JSON.stringify(words) }); }
  }
  const peer = createPeer({
    url: () => "ws://box/bloom", WebSocket: StubSocket, RTCPeerConnection: StubConnection, nowMs: () => 123456.7,
    tell: (event) => world.events.push(event), ear: { hear: (stream) => world.heard.push(stream), tapped() {} },
  });
  return { peer, ...world };
}

/** One that has offered, in a room of two. */
async function offered() {
  const world = stubWorld();
  world.peer.perform({ act: "open_peer", door });
  const [[connection], [socket]] = [world.connections, world.sockets];
  socket.open();
  socket.say(people);
  await soon();
  return { ...world, connection, socket };
}

/** One that is connected. */
async function connected() {
  const world = await offered();
  world.socket.say({ type: "Answer", from: BOX, sdp: "the box's answer" });
  await soon();
  world.connection.become("connected");
  return world;
}

test("it joins the room, offers three channels and an ear to the box alone, and takes the answer", async () => {
  const { connection, socket } = await offered();
  assert.deepEqual(connection.transceivers, [["audio", "recvonly"]]);
  const channels = Object.values(connection.channels).map(({ label, how }) => [label, how]);
  assert.deepEqual(channels, [["time", { ordered: false, maxRetransmits: 0 }], ["media", { ordered: true }], ["score", { ordered: true }]]);
  assert.deepEqual(socket.sent, [{ type: "JoinRoom", room_id: door.room_id }, { type: "Offer", to: BOX, sdp: "offer 1" }]);
  assert.deepEqual(connection.offers, [{ iceRestart: false }]);
  socket.say({ type: "Answer", from: BOX, sdp: "the box's answer" });
  await soon();
  assert.deepEqual(connection.remote, [{ type: "answer", sdp: "the box's answer" }]);
  socket.say(people);
  await soon();
  assert.equal(socket.sent.length, 2, "a list that comes again is no reason to offer again");
});

test("STUN and TURN servers come from the box", () => {
  const { peer, connections } = stubWorld();
  const ice_servers = [{ urls: ["turn:box:3478"], username: "phone", credential: "secret" }];
  peer.perform({ act: "open_peer", door: { ...door, ice_servers } });
  assert.deepEqual(connections[0].configuration.iceServers, ice_servers);
});

test("the channel time asks with the page's clock and tells what it hears and when", async () => {
  const { peer, connection, events } = await connected();
  const { time } = connection.channels;
  peer.ask(ask);
  assert.deepEqual(time.sent, [], "it is not open");
  time.readyState = "open";
  time.onopen();
  peer.ask(ask);
  assert.deepEqual(time.sent, [hex(datagram("question.txt"))]);
  time.onmessage({ data: datagram("answer.txt").buffer });
  assert.deepEqual(events, [
    { event: "peer_link", link: "connected" },
    { event: "time_opened", channel: "data_channel" },
    { event: "time_heard", channel: "data_channel", octets: hex(datagram("answer.txt")), at_ms: 123456.7 },
  ]);
});

test("a way that was lost is looked for anew on the same connection, and a failed one may be, too", async () => {
  const { peer, connection, socket, events } = await connected();
  connection.become("disconnected");
  connection.become("failed");
  peer.perform({ act: "restart_peer" });
  await soon();
  assert.deepEqual(connection.offers, [{ iceRestart: false }, { iceRestart: true }]);
  assert.deepEqual(socket.sent[2], { type: "Offer", to: BOX, sdp: "offer 2" });
  socket.say({ type: "Answer", from: BOX, sdp: "another" });
  await soon();
  connection.become("completed");
  assert.deepEqual(events.map(({ link }) => link), ["connected", "disconnected", "connected"]);
  assert.ok(!connection.isClosed);
});

test("a restart after the signalling was lost goes to the room again", async () => {
  const { peer, connection, socket, sockets, events } = await connected();
  socket.onclose();
  assert.deepEqual(events.at(-1), { event: "peer_link", link: "connected" }, "the connection lives without it");
  peer.perform({ act: "restart_peer" });
  peer.perform({ act: "restart_peer" });
  assert.equal(sockets.length, 2);
  sockets[1].open();
  sockets[1].say(people);
  await soon();
  assert.deepEqual(sockets[1].sent.map(({ type }) => type), ["JoinRoom", "Offer"]);
  assert.equal(connection.offers.length, 2);
});

test("the box's own restart is answered, unless ours is under way", async () => {
  const { peer, connection, socket } = await connected();
  socket.say({ type: "Offer", from: BOX, sdp: "the box's offer" });
  await soon();
  assert.deepEqual(socket.sent.at(-1), { type: "Answer", to: BOX, sdp: "our answer" });
  peer.perform({ act: "restart_peer" });
  await soon();
  socket.say({ type: "Offer", from: BOX, sdp: "too late" });
  await soon();
  assert.equal(connection.remote.at(-1).sdp, "the box's offer");
});

test("hostile or refused signalling ends one that never was up, and no other", async () => {
  for (const words of [{ type: "Error", code: "RateLimited", message: "later" }, { type: "Answer", from: BOX, sdp: "nonsense" }, "{", "null"]) {
    const { connection, socket, events } = await offered();
    socket.say(words);
    await soon();
    assert.deepEqual(events, [{ event: "time_closed", channel: "data_channel" }, { event: "peer_link", link: "closed" }], JSON.stringify(words));
    assert.ok(connection.isClosed);
    const up = await connected();
    up.socket.say(words);
    await soon();
    assert.deepEqual(up.events, [{ event: "peer_link", link: "connected" }], JSON.stringify(words));
  }
  const { socket, connection, events } = await offered();
  for (const words of [{ type: "Offer", from: BOX, sdp: "while ours is out" }, { type: "PeerConnected", participant_id: ME }, { type: "Hm" }]) socket.say(words);
  await soon();
  assert.deepEqual([connection.remote, events], [[], []]);
});

test("a channel that the box closes means that it has ended the connection", async () => {
  const { connection, events } = await connected();
  connection.channels.score.onclose();
  assert.deepEqual(events.slice(-2), [{ event: "time_closed", channel: "data_channel" }, { event: "peer_link", link: "closed" }]);
  assert.ok(connection.isClosed);
});

test("a connection that was let go never speaks into the next one's life", async () => {
  const { peer, connection, connections, socket, sockets, events } = await connected();
  peer.perform({ act: "open_peer", door });
  assert.deepEqual([connection.isClosed, socket.readyState, sockets.length, connections.length], [true, 3, 2, 2]);
  const before = events.length;
  connection.become("failed");
  connection.channels.time.onclose();
  socket.say(people);
  socket.onclose();
  await soon();
  assert.equal(events.length, before);
  peer.perform({ act: "close_peer" });
  assert.ok(connections[1].isClosed);
  assert.deepEqual(peer.channels(), {});
});

test("a browser without peer connections says that it is closed", async () => {
  const events = [];
  const peer = createPeer({ url: () => "", WebSocket: null, RTCPeerConnection: undefined, nowMs: () => 0, tell: (it) => events.push(it), ear: {} });
  peer.perform({ act: "open_peer", door });
  await soon();
  assert.deepEqual(events, [{ event: "peer_link", link: "closed" }]);
});

test("a track is heard from the first tap on, in the page's own context", () => {
  const made = [];
  const node = (name) => ({ name, connect(to) { made.push([name, to]); }, disconnect() { made.push([name, "nothing"]); } });
  const context = { destination: "loudspeaker", createMediaStreamSource: node };
  const pump = { play: () => Promise.reject(new Error("not yet")) };
  let running = null;
  const ear = createEar({ context: () => running, createAudio: () => pump });
  ear.tapped();
  ear.hear("a track");
  assert.deepEqual(made, []);
  running = context;
  ear.tapped();
  ear.tapped();
  assert.deepEqual(made, [["a track", "loudspeaker"]]);
  assert.deepEqual([pump.muted, pump.srcObject], [true, "a track"]);
  ear.hear("another");
  assert.deepEqual(made.slice(1), [["a track", "nothing"], ["another", "loudspeaker"]]);
});

test("the core offers where the box waits, asks on the channel, and has it restarted when a page wakes to silence", async () => {
  const core = await begin("screen", 1000);
  core.handle(1000, { event: "tick" });
  core.handle(1000, { event: "opened" });
  core.handle(1001, { event: "heard", text: message("hello", { ...welcome, signaling: door }) });
  const opened = core.handle(2002, { event: "tick" }).acts.filter(({ act }) => act === "open_peer");
  assert.deepEqual(opened, [{ act: "open_peer", door }]);
  core.handle(2003, { event: "peer_link", link: "connected" });
  core.handle(2004, { event: "time_opened", channel: "data_channel" });
  const { acts } = core.handle(60_000, { event: "woke" });
  assert.ok(acts.some(({ act, channel }) => act === "ask_time" && channel === "data_channel"), JSON.stringify(acts));
  assert.deepEqual(core.handle(61_501, { event: "tick" }).acts.filter(({ act }) => act === "restart_peer"), [{ act: "restart_peer" }]);
  core.handle(61_502, { event: "time_closed", channel: "data_channel" });
  const after = core.handle(63_600, { event: "tick" }).acts.filter(({ act }) => act === "ask" || act === "ask_time");
  assert.ok(after.every(({ act }) => act === "ask"), "the socket stands in");
});
