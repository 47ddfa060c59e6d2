// The page's peer connection in Chromium and Firefox ESR, through a bad network and a cut, and in Chromium by a relay.
// Each story and its network are in a network namespace of their own (alone.js); all at the same time. Prints what it
// measured.

import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { lacks, told } from "./alone.js";
import { whyNot } from "./helpers.js";

test("sx06: the page's peer connection", { skip: whyNot() || false, timeout: 150_000, concurrency: true }, async (t) => {
  const each = (browser) => t.test(`sx06: ${browser} talks both ways on three channels, hears the track, and keeps its connection over a cut`, async (t) => {
    const reason = lacks(browser);
    if (reason) return t.skip(reason);
    for (const line of await told("peer.js", browser)) t.diagnostic(line);
  });
  const relay = t.test("ps09: a page that only coturn can bring to the box asks it the time", async (t) => {
    const missing = spawnSync("turnserver", ["--version"]).error ? "no coturn: `tools/setup --tests` installs it" : null;
    const reason = lacks("chromium") || missing;
    if (reason) return t.skip(reason);
    for (const line of await told("peer.js", "relay")) t.diagnostic(line);
  });
  await Promise.all([...["chromium", "firefox"].map(each), relay]);
});
