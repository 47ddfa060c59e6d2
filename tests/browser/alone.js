// Stories in a network namespace of their own, for browsers speak to no loopback address when they look for a way to a
// peer.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { browserPath, firefoxPath } from "./helpers.js";

/** The address that a story has besides loopback's. */
export const HERE = "198.51.100.1";
/** An address that is not loopback's, and a way to everywhere, without which browsers look for no candidates. None comes
 * by itself later: Chromium gives up what it is fetching when the network changes. */
const ALONE = `ip link set lo up && ip link add phones type veth peer name nobody && ip link set phones addrgenmode none &&
  ip link set nobody addrgenmode none && ip address add ${HERE}/24 dev phones &&
  ip link set phones up && ip link set nobody up && ip route add default dev phones`;
const PATHS = { chromium: browserPath, firefox: firefoxPath };

/** Whether that browser is not there; null where it is. */
export function absent(browser) {
  return existsSync(PATHS[browser]) ? null : `no ${browser}: \`tools/setup --tests\` installs it`;
}

/** Why that browser cannot be met here in a network of its own; null where it can. */
export function lacks(browser) {
  const reason = absent(browser);
  if (reason) return reason;
  try {
    execFileSync("unshare", ["--net", "sh", "-c", ALONE], { stdio: "pipe" });
  } catch (error) {
    return `no network namespace to be had: ${error.stderr || error.message}`;
  }
  return null;
}

/** Has a story told, and then ends what it has begun, the last first; it says `later` what that is. */
export async function tell(story) {
  const ending = [];
  try {
    await story((end) => { ending.unshift(end); });
  } finally {
    for (const end of ending) await end();
  }
}

/** What a story, `node FILE WORD` beside this file, measured in a namespace of its own. */
export async function told(file, word) {
  const story = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn("unshare", ["--net", "sh", "-c", `${ALONE} && exec "$0" "$@"`, process.execPath, story, word], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [said, complaint] = ["", ""];
  child.stdout.on("data", (text) => { said += text; });
  child.stderr.on("data", (text) => { complaint += text; });
  const code = await new Promise((done) => { child.once("exit", done); });
  assert.equal(code, 0, `${said}\n${complaint}`);
  return said.trim().split("\n");
}

/** In a page: makes this address, and port, the only way to the box. */
export function sendBy(place) {
  const set = RTCPeerConnection.prototype.setRemoteDescription;
  RTCPeerConnection.prototype.setRemoteDescription = function setRemote({ type, sdp }) {
    const lines = sdp.split("\r\n").filter((line) => !/^a=(candidate|end-of-candidates)/.test(line));
    return set.call(this, { type, sdp: lines.join("\r\n").replace("a=ice-ufrag:", `a=candidate:1 1 udp 2130706431 ${place} typ host\r\na=ice-ufrag:`) });
  };
}
