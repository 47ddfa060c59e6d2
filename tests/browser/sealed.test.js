// Live sound sealed end to end, in Chromium: heard in step by who was invited, and by nobody else. The story and its network
// are in a network namespace of their own (alone.js). Prints what it measured.

import { test } from "node:test";
import { lacks, told } from "./alone.js";
import { whyNot } from "./helpers.js";

test("sx20: sealed live sound is heard in step with a token, and not without, nor what was meddled with", { skip: whyNot() || lacks("chromium") || false, timeout: 180_000 }, async (t) => {
  for (const line of await told("sealed.js", "chromium")) t.diagnostic(line);
});
