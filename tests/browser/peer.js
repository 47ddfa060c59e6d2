// What `peer.test.js` has each browser live through, in a network namespace: `node peer.js chromium|firefox`, and
// `node peer.js relay`. A line on its output for each thing that holds.
//
// First the page's own module offers to Chromium, which says back what it hears and sounds a tone; the room of two between
// them is played here. Then to the box's end of a connection, which says back what it hears (`tools echo`). Then the page
// as it is meets the box.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import {
  clickShow, freePorts, house, startBox, startBrowser, startFirefox, startProxy, stateOf, tools, until,
} from "./helpers.js";
import { HERE, tell } from "./alone.js";
import { startPulse, whyNoPulse } from "./pulse.js";

/** Five of a hundred are lost, and each is up to 80 ms late. */
const BAD = ["--up", "loss=5%,jitter=even:40ms", "--down", "loss=5%,jitter=even:40ms"];
const CUT_S = 10;
const TONE = { hz: 997, level: 0.25 };
const RELAY = { lowest: 61000, highest: 61100, secret: "not-a-secret-in-a-test" };

const name = process.argv[2];
let later;

await tell((ends) => {
  later = ends;
  return name === "relay" ? meetByRelay() : main();
});

async function main() {
  const at = await serve();
  const pulse = name === "firefox" && !whyNoPulse() ? await startPulse() : null;
  if (pulse) later(() => pulse.stop());
  const [page, other] = await Promise.all([open(name, pulse, at), open("chromium", null, at)]);
  await page.evaluate(listen);
  const hears = name !== "firefox" || pulse !== null;
  await page.evaluate(begin, hears);
  const packets = await meet(page, other);
  await talkBothWays(page, packets, "Chromium");
  if (hears) await hearTheTrack(page);
  else console.log(`the track is not heard here: ${whyNoPulse()}`);
  await Promise.all([keepItsConnection(page, other, packets), meetTheBox(page.context().browser(), hears)]);
  if (hears) await hearTheTrack(page);
  await meetTheEcho(page.context().browser(), at);
}

/** The page as anybody opens it, and the box: it offers by itself, and finds back by itself. */
async function meetTheBox(browser, hears) {
  const [port] = await freePorts(1);
  const box = await startBox(clickShow, { peers: port });
  later(() => box.stop());
  const sockets = await startProxy(box.port, 0, BAD);
  const packets = await startProxy(port, 0, ["--udp", ...BAD], HERE);
  [sockets, packets].forEach((it) => later(() => it.close()));
  const page = await browser.newPage();
  await page.addInitScript(sendBy, { way: `a=candidate:1 1 udp 2130706431 ${HERE} ${packets.port} typ host` });
  if (hears) await page.addInitScript(listen);
  await page.goto(`http://127.0.0.1:${sockets.port}/`);
  if (hears) await page.click("#tap");
  await until("the time is asked on the channel", async () => (await channelOf(box)) === "data_channel", 60);
  await until("it is in step", async () => !hears || (await stateOf(page)) === "in_step");
  await box.order("air", { what: "tone" });
  if (hears) await hearTheTrack(page);
  const cutAt = performance.now();
  packets.order("cut");
  await until("the time is asked by the socket", async () => (await channelOf(box)) === "web_socket", 40);
  await until("the cut has lasted", () => performance.now() - cutAt > CUT_S * 1000);
  packets.order("reset");
  packets.order("heal");
  const healedAt = performance.now();
  await until("the time is asked on the channel again", async () => (await channelOf(box)) === "data_channel", 60);
  const { made, restarts } = await page.evaluate(() => window.peers);
  const backS = ((performance.now() - healedAt) / 1000).toFixed(1);
  // Firefox closes the channels where a restart is restarted, and where one comes to nothing for twelve seconds, without
  // ever having said that the connection is down; then there is another.
  assert.ok(made === 1 || name === "firefox", "the connection is the first one");
  assert.ok(restarts > 0, "it looked for another way");
  if (hears) await hearTheTrack(page);
  const which = made === 1 ? "the same" : "another";
  console.log(`the page and the box: the channel time is back ${backS} s after the cut, on ${which} connection, after ${restarts} ICE restarts`);
}

/** The page's module, and the very stack that the box has, which says back what it hears on every channel. */
async function meetTheEcho(browser, at) {
  const child = spawn(tools, ["echo"], { stdio: ["pipe", "pipe", "inherit"] });
  later(() => child.kill());
  const page = await browser.newPage();
  await page.goto(at);
  await page.evaluate(begin, false);
  child.stdin.write(`${JSON.stringify(await offerOf(page))}\n`);
  const [line] = await once(createInterface({ input: child.stdout }), "line");
  await talkBothWays(page, await answer(page, JSON.parse(line)), "the box's own stack");
}

/** A page that only coturn can bring to the box, which told it of coturn. */
async function meetByRelay() {
  const browser = await startBrowser();
  later(() => browser.close());
  const [turn, port] = await freePorts(2);
  await startRelay(turn);
  const server = `{ urls = ["turn:${HERE}:${turn}"], username = "phone", credential = "${RELAY.secret}" }`;
  const box = await startBox(clickShow, { peers: port, more: `[peers]\nice_servers = [${server}]\n` });
  later(() => box.stop());
  const page = await browser.newPage();
  await page.addInitScript(() => {
    const Connection = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Connection {
      constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); }
    };
  });
  await page.goto(`http://127.0.0.1:${box.port}/screen`);
  await until("the time is asked by the relay", async () => (await channelOf(box)) === "data_channel", 40);
  const address = await until("the box has counted", async () => {
    const { stdout } = await box.command("phones", "--json");
    return JSON.parse(stdout).phones.find(({ peer }) => peer).peer.address;
  });
  const from = Number(address.split(":").pop());
  assert.ok(from >= RELAY.lowest && from <= RELAY.highest, `it comes from port ${from}`);
  console.log(`by coturn alone: the box hears it from the relay's port ${from}`);
}

async function startRelay(port) {
  const folder = mkdtempSync(join(tmpdir(), "downbeat-relay-"));
  later(() => rmSync(folder, { recursive: true, force: true }));
  const child = spawn("turnserver", [
    "-n", "--listening-ip", HERE, "--relay-ip", HERE, "--listening-port", `${port}`, "--lt-cred-mech", "--realm", "stage",
    "--user", `phone:${RELAY.secret}`, "--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout", "--simple-log",
    "--min-port", `${RELAY.lowest}`, "--max-port", `${RELAY.highest}`,
    "--pidfile", join(folder, "pid"), "--userdb", join(folder, "users"),
  ], { stdio: ["ignore", "pipe", "ignore"] });
  later(() => child.kill());
  let said = "";
  child.stdout.on("data", (text) => { said += text; });
  await until("coturn listens", () => said.includes("Relay ports initialization done"));
}

/** By which way the one phone asks, as the box has it. */
async function channelOf(box) {
  const { stdout } = await box.command("phones", "--json");
  return JSON.parse(stdout).phones.filter(({ hello }) => hello).map(({ clock_channel: by }) => by).pop();
}

/** The page's modules, as they are. */
async function serve() {
  const server = http.createServer(({ url }, answer) => {
    const module = /^\/page\/(\w+\.js)$/.exec(url);
    answer.setHeader("content-type", module ? "text/javascript" : "text/html");
    answer.end(module ? readFileSync(`${house}src/page/web/${module[1]}`) : "<!doctype html>");
  });
  await new Promise((done) => { server.listen(0, "127.0.0.1", done); });
  later(() => server.close());
  return `http://127.0.0.1:${server.address().port}/`;
}

async function open(browser, pulse, at) {
  const started = await (browser === "firefox" ? startFirefox(pulse) : startBrowser());
  later(() => started.close());
  const page = await started.newPage();
  await page.goto(at);
  return page;
}

/** The first offer and its answer; the bad network between them. */
async function meet(page, other) {
  return answer(page, await other.evaluate(answerAnew, await offerOf(page)));
}

/** The answer reaches the page; the port that it names is behind the bad network. */
async function answer(page, sdp) {
  const port = Number(/^a=candidate:.* udp \d+ \S+ (\d+) typ host/im.exec(sdp)[1]);
  const packets = await startProxy(port, 0, ["--udp", ...BAD], HERE);
  later(() => packets.close());
  await page.evaluate((text) => window.answered(text), sentBy(sdp, packets));
  return packets;
}

/** An answer whose only way is the one over the bad network. */
function sentBy(sdp, { port }) {
  const lines = sdp.split("\r\n").filter((line) => !/^a=(candidate|end-of-candidates)/.test(line));
  const way = `a=candidate:1 1 udp 2130706431 ${HERE} ${port} typ host`;
  return lines.join("\r\n").replace("a=ice-ufrag:", `${way}\r\na=ice-ufrag:`);
}

async function offerOf(page) {
  return until("it offers", () => page.evaluate(() => {
    const sdp = window.offered;
    window.offered = null;
    return sdp;
  }));
}

async function talkBothWays(page, packets, whom) {
  await until("each channel was answered", () => page.evaluate(() => window.echoes()), 40);
  const counts = await page.evaluate(() => window.counts);
  const all = Array.from({ length: 10 }, (_, k) => k);
  assert.deepEqual([counts.media, counts.score], [all, all], "in order, each once");
  const { up, down } = await packets.account();
  assert.ok(up.lost + down.lost > 0, "some packets were lost");
  console.log(`both ways with ${whom}: ${counts.time} answers on time, 10 of 10 in order on media and score; ${up.lost + down.lost} of ${up.packets + down.packets} packets lost, 80 ms jitter`);
}

/** As high, and as loud, as it was sent; little else. */
async function hearTheTrack(page) {
  const heard = await until("the tone is heard", () => page.evaluate(({ hz, level }) => {
    const all = window.tone();
    const is = all && Math.abs(all.hz - hz) <= 2 && Math.abs(20 * Math.log10(all.level / level)) < 1.5 && all.share > 0.85;
    return is ? all : null;
  }, TONE), 40);
  console.log(`the track: ${heard.hz} Hz at ${heard.level.toFixed(3)} (sent: ${TONE.hz} Hz at ${TONE.level}), ${(heard.share * 100).toFixed(0)} % of what is heard`);
}

/** Packets are cut off for good, and another way is found: the connection is the same. Browsers answer a restart at
 * another port. */
async function keepItsConnection(page, other, packets) {
  const cutAt = performance.now();
  packets.order("cut");
  await until("the browser sees that nothing comes", () => page.evaluate(() => window.links[window.links.length - 1] === "disconnected"), 40);
  await until("the cut has lasted", () => performance.now() - cutAt > CUT_S * 1000);
  const before = await page.evaluate(() => window.counts.time);
  const foundAt = performance.now();
  await page.evaluate(() => { window.peer.perform({ act: "restart_peer" }); });
  await answer(page, await other.evaluate(answerAgain, await offerOf(page)));
  await until("the connection is up again", () => page.evaluate(() => window.links[window.links.length - 1] === "connected"), 40);
  await until("the time is told again", () => page.evaluate((count) => window.echoes() && window.counts.time > count, before), 40);
  const { links, opened } = await page.evaluate(() => ({ links: window.links, opened: window.opened }));
  assert.equal(opened, 1, "its channels are the first ones");
  console.log(`packets cut for ${CUT_S} s, then another way: the time is told again ${((performance.now() - foundAt) / 1000).toFixed(1)} s later, on the same connection (${links.join(", ")})`);
}

// --- in the page

/** Makes the way over the bad network the only one to the box, and counts what is offered. */
function sendBy({ way }) {
  const set = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function setRemote({ type, sdp }) {
    const lines = sdp.split("\r\n").filter((line) => !/^a=(candidate|end-of-candidates)/.test(line));
    return set.call(this, { type, sdp: lines.join("\r\n").replace("a=ice-ufrag:", `${way}\r\na=ice-ufrag:`) });
  };
  const peers = { made: 0, restarts: 0 };
  window.peers = peers;
  const offer = RTCPeerConnection.prototype.createOffer;
  RTCPeerConnection.prototype.createOffer = function createOffer(how) {
    peers[how && how.iceRestart ? "restarts" : "made"] += 1;
    return offer.call(this, how);
  };
}

/** An ear at the loudspeaker: `tone()` tells the strongest tone near the one that is sent, and its share of all. */
function listen() {
  const connect = AudioNode.prototype.connect;
  let ear = null;
  AudioNode.prototype.connect = function connectAndListen(to, ...rest) {
    if (to === this.context.destination) {
      ear = ear || this.context.createAnalyser();
      ear.fftSize = 16384;
      connect.call(this, ear);
    }
    return connect.call(this, to, ...rest);
  };
  window.tone = () => {
    if (!ear) return null;
    const wave = new Float32Array(ear.fftSize);
    ear.getFloatTimeDomainData(wave);
    const power = wave.reduce((sum, it) => sum + it * it, 0) / wave.length;
    const at = (hz) => {
      let [re, im] = [0, 0];
      wave.forEach((it, n) => {
        const turn = (2 * Math.PI * hz * n) / ear.context.sampleRate;
        const part = it * (1 - Math.cos((2 * Math.PI * n) / wave.length));
        [re, im] = [re + part * Math.cos(turn), im + part * Math.sin(turn)];
      });
      return (2 * Math.hypot(re, im)) / wave.length;
    };
    const all = Array.from({ length: 25 }, (_, k) => ({ hz: 985 + k, level: at(985 + k) }));
    const best = all.reduce((one, two) => (two.level > one.level ? two : one));
    return { ...best, share: power > 0 ? Math.min(1, best.level ** 2 / 2 / power) : 0 };
  };
}

/** The page's module, and what is said to it. */
async function begin(hears) {
  const { createEar, createPeer } = await import("/page/peer.js");
  const door = { room_id: "room", participant_id: "box" };
  class Room {
    constructor() {
      this.readyState = 1;
      window.answered = (sdp) => this.onmessage({ data: JSON.stringify({ type: "Answer", from: "box", sdp }) });
      Promise.resolve().then(() => this.onopen());
    }
    send(text) {
      const said = JSON.parse(text);
      const people = { type: "RoomParticipants", room_id: "room", participants: ["box", "me"] };
      if (said.type === "JoinRoom") Promise.resolve().then(() => this.onmessage({ data: JSON.stringify(people) }));
      else window.offered = said.sdp;
    }
    close() {}
  }
  const counts = { time: 0, media: [], score: [] };
  Object.assign(window, { counts, links: [], opened: 0 });
  const tell = ({ event, link }) => {
    if (event === "time_heard") counts.time += 1;
    if (event === "time_opened") window.opened += 1;
    if (event === "peer_link") window.links.push(link);
  };
  let context = null;
  if (hears) {
    context = new AudioContext();
    await context.resume();
  }
  const ear = createEar({ context: () => context, createAudio: () => new Audio() });
  const peer = createPeer({ url: () => "", WebSocket: Room, RTCPeerConnection, nowMs: () => performance.now(), tell, ear });
  window.peer = peer;
  peer.perform({ act: "open_peer", door });
  const { media, score } = peer.channels();
  media.onmessage = ({ data }) => counts.media.push(new Uint8Array(data)[0]);
  score.onmessage = ({ data }) => counts.score.push(Number(data));
  media.onopen = () => { for (let k = 0; k < 10; k += 1) media.send(new Uint8Array([k])); };
  score.onopen = () => { for (let k = 0; k < 10; k += 1) score.send(`${k}`); };
  // Some questions and answers are lost; asked often enough, some are not.
  window.echoes = () => {
    peer.ask({ act: "ask_time", channel: "data_channel", octets: "01000000000000000000", clock_at: 2 });
    return counts.time >= 10 && counts.media.length >= 10 && counts.score.length >= 10;
  };
}

/** The other end: what it hears it says back, a question as an answer; its track is a tone. It knocks nowhere itself. */
async function answerAnew(offer) {
  const connection = new RTCPeerConnection();
  window.connection = connection;
  connection.ondatachannel = ({ channel }) => {
    channel.binaryType = "arraybuffer";
    channel.onmessage = ({ data }) => {
      if (channel.label !== "time") return channel.send(data);
      const answer = new Uint8Array(26);
      answer.set(new Uint8Array(data));
      answer[1] = 1;
      return channel.send(answer);
    };
  };
  const context = new AudioContext();
  await context.resume();
  const out = context.createMediaStreamDestination();
  const tone = new OscillatorNode(context, { frequency: 997 });
  tone.connect(new GainNode(context, { gain: 0.25 })).connect(out);
  tone.start();
  window.track = [out.stream.getAudioTracks()[0], out.stream];
  const withoutWays = (sdp) => sdp.split("\r\n").filter((line) => !/^a=(candidate|end-of-candidates)/.test(line)).join("\r\n");
  window.take = async (sdp) => {
    await connection.setRemoteDescription({ type: "offer", sdp: withoutWays(sdp) });
    if (connection.getSenders().every(({ track }) => !track)) connection.addTrack(...window.track);
    await connection.setLocalDescription(await connection.createAnswer());
    await new Promise((done) => {
      // After a restart it still says that it has gathered all, of the way before.
      const look = () => {
        const has = / typ host/.test(connection.localDescription.sdp);
        if (has && connection.iceGatheringState === "complete") done();
      };
      [connection.onicegatheringstatechange, connection.onicecandidate] = [look, look];
      look();
    });
    return connection.localDescription.sdp;
  };
  return window.take(offer);
}

function answerAgain(offer) {
  return window.take(offer);
}
