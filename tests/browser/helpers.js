// A real box and a real browser: what the browser tests share.
//
// Needs: the program (`DOWNBEAT`, else target/debug/downbeat), the chores (`DOWNBEAT_TOOLS`, else target/debug/tools),
// Chromium (`CHROMIUM`, else /usr/bin/chromium), and `npm install` in tests/page for playwright-core.

import { spawn, execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync, mkdirSync, existsSync } from "node:fs";
import { once } from "node:events";
import { request as requestTo } from "node:http";
import { createRequire } from "node:module";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { capture } from "./capture.js";

const require = createRequire(new URL("../page/package.json", import.meta.url));
const { chromium, firefox } = require("playwright-core");
export const house = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);

export const program = process.env.DOWNBEAT || join(house, "target/debug/downbeat");
export const tools = process.env.DOWNBEAT_TOOLS || join(house, "target/debug/tools");
export const browserPath = process.env.CHROMIUM || "/usr/bin/chromium";
export const firefoxPath = process.env.FIREFOX || "/usr/bin/firefox-esr";

/** Why the browser tests cannot run here; null where they can. */
export function whyNot() {
  if (!existsSync(browserPath)) return `no Chromium at ${browserPath}`;
  const absent = [program, tools].find((path) => !existsSync(path));
  if (absent) return `no program at ${absent}: \`cargo build --bins\` makes it`;
  return null;
}

/** A running box: `{ port, securePort, go(), kill(), stop() }`; `peers` is its port for peer connections, or it takes any,
 * `more` goes to the end of its box file; `cluster`, `{ name, names }`, joins it with boxes of these names on loopback. */
export async function startBox(show, { peers = 0, more = "", cluster = null } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "downbeat-browser-"));
  const [http, https, osc, link] = await freePorts(4);
  const socket = join(folder, "control.sock");
  const ports = `[ports]\nhttp = ${http}\nhttps = ${https}\nosc = ${osc}\ncluster = ${link}\nclock = 0\npeers = ${peers}\n`;
  const [head, tail] = cluster ? among(folder, cluster) : ["", ""];
  writeFileSync(join(folder, "box.toml"), `${head}${ports}\n[limits]\nconnections_per_address = 100\n${tail}${more}`);
  const showFolder = typeof show === "function" ? show(join(folder, "show")) : show;
  const common = ["--box", join(folder, "box.toml"), "--state", join(folder, "state"), "--socket", socket];
  const child = spawn(program, [...common, "--simulate", "run", showFolder], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => { said += text; });
  const ended = new Promise((done) => { child.once("exit", done); });
  const command = (...words) => run(program, ["--socket", socket, ...words]);
  await until("the box answers", async () => {
    if (child.exitCode !== null) throw new Error(`the box ended:\n${said}`);
    return (await tried(() => fetch(`http://127.0.0.1:${http}/`)))?.ok && (await tried(() => command("status")));
  });
  return {
    port: http,
    securePort: https,
    command,
    go: () => command("go"),
    order: (word, fields) => post(socket, `/api/v1/${word}`, JSON.stringify(fields)),
    said: () => said,
    /** It dies without a word. */
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
    async stop() {
      child.kill("SIGTERM");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The key that boxes share, and what goes before and behind the rest of a box file. */
function among(folder, { name, names }) {
  mkdirSync(join(folder, "state"));
  writeFileSync(join(folder, "state/cluster.key"), `${"5e".repeat(32)}\n`);
  const tail = `[net]\ncluster = "lo"\n[cluster]\nname = "browser-${process.pid}"\nvoters = ${JSON.stringify(names)}\n`;
  return [`name = "${name}"\n`, tail];
}

/** Over the control socket, which asks for no token. */
async function post(socketPath, path, body) {
  const request = requestTo({ socketPath, path, method: "POST", headers: { "content-type": "application/json" } });
  request.end(body);
  const [answer] = await once(request, "response");
  answer.resume();
  if (answer.statusCode !== 200) throw new Error(`${path} was answered with ${answer.statusCode}`);
}

/** A browser whose pages sound without a gesture of the test's own; into `pulse`, `{ server, sink }`, if it is given;
 * with `more` words on its command line. */
export function startBrowser(pulse, ...more) {
  return startChromium(browserPath, pulse, more);
}

/** The same of the Chromium at this path. */
export function startChromium(executablePath, pulse, more = []) {
  return chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", ...more],
    ...(pulse && {
      ignoreDefaultArgs: ["--mute-audio"],
      env: { ...process.env, PULSE_SERVER: pulse.server, PULSE_SINK: pulse.sink },
    }),
  });
}

/** The same of Debian's Firefox, which is driven by WebDriver BiDi, and whose sound stands still without a card. */
export function startFirefox(pulse) {
  const firefoxUserPrefs = { "media.autoplay.default": 0, "media.autoplay.blocking_policy": 0 };
  const env = pulse ? { ...process.env, PULSE_SERVER: pulse.server } : process.env;
  return firefox.launch({ executablePath: firefoxPath, channel: "moz-firefox", firefoxUserPrefs, env });
}

/** A phone that was tapped, with an ear, which the page's own security policy would not let in. */
export async function tapped(browser, port) {
  const page = await open(browser, "/", port, { ear: true });
  await page.click("#tap");
  return page;
}

/** The page as anybody opens it; `before` runs in it before its own scripts. */
export async function open(browser, path, port, { ear = false, before = () => {} } = {}) {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 }, bypassCSP: ear });
  await page.addInitScript(before);
  if (ear) await page.addInitScript(capture);
  await page.goto(`http://localhost:${port}${path}`);
  return page;
}

export const stateOf = (page) => page.getAttribute("body", "data-state");
export const inStep = (page) => until("the page is in step", async () => (await stateOf(page)) === "in_step");
export const heard = (page) => page.evaluate(() => window.heard());

/** When what plays on phones began, network time in milliseconds, as the box tells one who comes late. */
export async function startOf(browser, port) {
  const page = await browser.newPage();
  await page.goto(`http://localhost:${port}/screen`);
  const startMs = await startBy(page);
  await page.close();
  return startMs;
}

/** The same, asked by a page of the box. */
export async function startBy(page) {
  const startS = await page.evaluate(() => new Promise((done) => {
    const socket = new WebSocket(`ws://${location.host}/ws`);
    const id = () => "00000000-0000-4000-8000-000000000000".replace(/0/g, () => Math.floor(Math.random() * 10));
    const header = { id: id(), timestamp: Date.now() / 1000, node_id: id(), sequence: 1 };
    socket.onmessage = ({ data }) => {
      const said = JSON.parse(data);
      if (said.type !== "media_control" || said.action !== "play") return;
      socket.close();
      done(said.start_at - (said.params.position_ms || 0) / 1000);
    };
    socket.onopen = () => socket.send(JSON.stringify({
      type: "hello", header, protocol_version: "0.1.0", capabilities: ["audio"], node_type: "client",
    }));
  }));
  return startS * 1000;
}

/**
 * A bad network before a port: `{ port, order(words), close() }`, and `datagrams`, the same on UDP, where they are
 * asked for. It is `tools proxy` with these `words` on its command line, its scenario `clear` unless they name another.
 */
export async function startWire(toPort, { datagrams = false, words = [] } = {}) {
  const streams = await startProxy(toPort, 0, words);
  return datagrams ? { ...streams, datagrams: await startProxy(toPort, streams.port, ["--udp", ...words]) } : streams;
}

/** One `tools proxy`; `order` takes what it reads: `cut`, `heal`, `reset` and more; `account` says what it did. */
export async function startProxy(toPort, port, words, host = "127.0.0.1") {
  const scenario = words.includes("--scenario") ? [] : ["--scenario", "clear"];
  const places = ["--listen", `${host}:${port}`, "--to", `${host}:${toPort}`];
  const child = spawn(tools, ["proxy", "--json", ...places, ...scenario, ...words], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const line = async () => JSON.parse((await once(lines, "line"))[0]);
  const order = (words) => { child.stdin.write(`${words}\n`); };
  const { listening } = await line();
  return {
    port: Number(listening.split(":").pop()),
    order,
    account() {
      order("show");
      return line();
    },
    async close() {
      child.kill("SIGTERM");
      await once(child, "exit");
    },
  };
}

/** A show of two cues: a colour with words, and a click every quarter of a second for ever. */
export function clickShow(folder) {
  mkdirSync(join(folder, "audio"), { recursive: true });
  writeFileSync(join(folder, "audio/click.wav"), clicks());
  writeFileSync(join(folder, "show.toml"), `
[show]
title = "Clicks"

[tracks]
click = "audio/click.wav"

[[list]]
name = "main"

[[list.cue]]
number = 1
name = "Colour"
phones = { color = "#ff9030", fade = "200ms", text = "Good evening" }

[[list.cue]]
number = 2
name = "Clicks"
phones = { track = "click", loop = "forever" }
`);
  return folder;
}

export const CLICK_EVERY_S = 0.25;
const RATE_HZ = 48_000;
const CLICK_SECONDS = 4;

/** WAV, 16 bits, mono; `sample` says what each frame is, -32,768 to 32,767. */
export function wav(rateHz, frames, sample) {
  const file = Buffer.alloc(44 + 2 * frames);
  file.write("RIFF", 0);
  file.writeUInt32LE(36 + 2 * frames, 4);
  file.write("WAVEfmt ", 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(rateHz, 24);
  file.writeUInt32LE(2 * rateHz, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36);
  file.writeUInt32LE(2 * frames, 40);
  for (let n = 0; n < frames; n += 1) file.writeInt16LE(sample(n), 44 + 2 * n);
  return file;
}

/** A sample at full that dies away at once, then silence. */
function clicks() {
  return wav(RATE_HZ, RATE_HZ * CLICK_SECONDS, (n) => {
    const since = n % (RATE_HZ * CLICK_EVERY_S);
    return since < 4 ? 32_000 >> since : 0;
  });
}

/** Waits until `check` gives something; the browser and the box have their own pace. */
export async function until(what, check, seconds = 20) {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited ${seconds} s in vain until ${what}`);
    await new Promise((done) => { setTimeout(done, 50); });
  }
}

/** Free on every address, as a box takes them. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer());
  await Promise.all(servers.map((server) => new Promise((done) => { server.listen(0, done); })));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((done) => { server.close(done); })));
  return ports;
}

async function tried(act) {
  try {
    return await act();
  } catch {
    return null;
  }
}
