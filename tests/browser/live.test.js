// Live sound in Chromium: pages hear it by their channel `media`, one of them through a bad network, one over plain HTTP, where
// no browser has WebCodecs, one with our decoder elsewhere, which it loses at first, one with a decoder that cannot. The story and its network are in a network namespace of their own (alone.js). Prints what it measured.

import { test } from "node:test";
import { lacks, told } from "./alone.js";
import { whyNot } from "./helpers.js";

test("sx11: live sound is heard in step, as opus by the browser and by our own decoder, over plain HTTP, as pcm16, and through 5 % loss", { skip: whyNot() || lacks("chromium") || false, timeout: 150_000 }, async (t) => {
  for (const line of await told("live.js", "chromium")) t.diagnostic(line);
});
