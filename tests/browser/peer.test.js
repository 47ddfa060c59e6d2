// The page's peer connection in Chromium and Firefox ESR, through a bad network and a cut, and in Chromium by a relay.
// Each story and its network are in a network namespace of their own, for browsers speak to no loopback address; all at
// the same time. Prints what it measured.

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { browserPath, firefoxPath, whyNot } from "./helpers.js";

const story = fileURLToPath(new URL("peer.js", import.meta.url));
/** An address that is not loopback's, and a way to everywhere, without which browsers look for no candidates. */
const ALONE = `ip link set lo up && ip link add phones type veth peer name nobody && ip address add 198.51.100.1/24 dev phones &&
  ip link set phones up && ip link set nobody up && ip route add default dev phones`;
const PATHS = { chromium: browserPath, firefox: firefoxPath };

function lacks(browser) {
  if (!existsSync(PATHS[browser])) return `no ${browser}: \`tools/setup --tests\` installs it`;
  try {
    execFileSync("unshare", ["--net", "sh", "-c", ALONE], { stdio: "pipe" });
  } catch (error) {
    return `no network namespace to be had: ${error.stderr || error.message}`;
  }
  return null;
}

/** What the story measured in a namespace of its own. */
async function told(browser) {
  const child = spawn("unshare", ["--net", "sh", "-c", `${ALONE} && exec "$0" "$@"`, process.execPath, story, browser], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [said, complaint] = ["", ""];
  child.stdout.on("data", (text) => { said += text; });
  child.stderr.on("data", (text) => { complaint += text; });
  const code = await new Promise((done) => { child.once("exit", done); });
  assert.equal(code, 0, `${said}\n${complaint}`);
  return said.trim().split("\n");
}

test("sx06: the page's peer connection", { skip: whyNot() || false, timeout: 150_000, concurrency: true }, async (t) => {
  const each = (browser) => t.test(`sx06: ${browser} talks both ways on three channels, hears the track, and keeps its connection over a cut`, async (t) => {
    const reason = lacks(browser);
    if (reason) return t.skip(reason);
    for (const line of await told(browser)) t.diagnostic(line);
  });
  const relay = t.test("ps09: a page that only coturn can bring to the box asks it the time", async (t) => {
    const missing = spawnSync("turnserver", ["--version"]).error ? "no coturn: `tools/setup --tests` installs it" : null;
    const reason = lacks("chromium") || missing;
    if (reason) return t.skip(reason);
    for (const line of await told("relay")) t.diagnostic(line);
  });
  await Promise.all([...Object.keys(PATHS).map(each), relay]);
});
