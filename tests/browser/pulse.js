// A PulseAudio of our own that mixes two browsers side by side, and what it mixed.
//
// One null sink with two channels; each browser plays into a sink of its own that is one of those channels. So one
// recording of the null sink's monitor has both on one sample clock, and nothing has to be laid over anything.

import { spawn, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./helpers.js";

export const SINKS = ["left", "right"];
const RATE_HZ = 48_000;
/** A click is at nearly full; a browser's own fades and dither stay far below. */
const CLICK_MIN = 0.4;
const DEAF_S = 0.1;

/** Why there is no PulseAudio here; null where it is. */
export function whyNoPulse() {
  try {
    ["pulseaudio", "parec", "pactl"].forEach((name) => execFileSync(name, ["--version"], { stdio: "ignore" }));
    return null;
  } catch (error) {
    return `${error.path || "pulseaudio"} does not run here; Debian: apt-get install pulseaudio pulseaudio-utils`;
  }
}

/** `{ server, record(), stop() }`; `record()` gives `{ stop() }`, which gives the seconds of clicks, a list a sink. */
export async function startPulse() {
  const folder = mkdtempSync(join(tmpdir(), "downbeat-pulse-"));
  const server = `unix:${join(folder, "native")}`;
  const env = { ...process.env, HOME: folder, XDG_RUNTIME_DIR: folder, PULSE_RUNTIME_PATH: join(folder, "run") };
  mkdirSync(env.PULSE_RUNTIME_PATH, { mode: 0o700 });
  const modules = [
    `module-null-sink sink_name=both rate=${RATE_HZ} channels=2 channel_map=front-left,front-right`,
    ...SINKS.map((name) => `module-remap-sink sink_name=${name} master=both channels=1 channel_map=mono `
      + `master_channel_map=front-${name} remix=no`),
    `module-native-protocol-unix socket=${join(folder, "native")} auth-anonymous=1`,
  ];
  const options = ["--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--log-level=error", "-n"];
  const child = spawn("pulseaudio", [...options, ...modules.flatMap((it) => ["-L", it])], { env, stdio: "ignore" });
  const ended = new Promise((done) => { child.once("exit", done); });
  await until("PulseAudio answers", () => {
    if (child.exitCode !== null) throw new Error(`PulseAudio ended with ${child.exitCode}`);
    return answers(server, env);
  });
  return {
    server,
    record: () => record(server, env),
    async stop() {
      child.kill("SIGTERM");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function answers(server, env) {
  try {
    return execFileSync("pactl", ["--server", server, "list", "short", "sinks"], { env, stdio: "pipe" }).includes("right");
  } catch {
    return false;
  }
}

function record(server, env) {
  const format = ["--format=float32le", `--rate=${RATE_HZ}`, "--channels=2", "--latency-msec=100"];
  const child = spawn("parec", ["--server", server, "--device=both.monitor", ...format], {
    env, stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = new Promise((done) => { child.once("close", done); });
  const clicks = SINKS.map(() => []);
  let [frame, rest] = [0, Buffer.alloc(0)];
  child.stdout.on("data", (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    const frames = Math.floor(rest.length / 8);
    for (let k = 0; k < frames; k += 1, frame += 1) {
      clicks.forEach((list, channel) => {
        const isLoud = Math.abs(rest.readFloatLE(8 * k + 4 * channel)) > CLICK_MIN;
        const atS = frame / RATE_HZ;
        if (isLoud && !(atS - list[list.length - 1] < DEAF_S)) list.push(atS);
      });
    }
    rest = rest.subarray(8 * frames);
  });
  return {
    async stop() {
      child.kill("SIGTERM");
      await ended;
      return clicks;
    },
  };
}
