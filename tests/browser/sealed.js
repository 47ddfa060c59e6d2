// What `sealed.test.js` has pages live through, in a network namespace: `node sealed.js chromium`.

import assert from "node:assert/strict";
import { HERE, tell } from "./alone.js";
import { all, areInStep, begin, gather, hearEnough, meddle } from "./bursts.js";
import { captureOrders } from "./capture.js";
import { until } from "./helpers.js";

await tell(async (later) => {
  const { box } = await begin(later, "seal = true");
  const token = (await box.command("token", "--role", "audience")).stdout.trim().split("\n").pop();
  const secure = `https://localhost:${box.securePort}/`;
  const ways = {
    opus: { url: `${secure}#token=${token}` },
    ours: { url: `${secure}#token=${token}`, prepare: (page) => page.addInitScript(() => { delete window.AudioDecoder; }) },
    meddled: { url: `${secure}#token=${token}`, prepare: (page) => page.addInitScript(meddle) },
    stranger: { url: secure },
    // Over plain HTTP there is no worklet to listen with.
    plain: { url: `http://${HERE}:${box.port}/`, ear: captureOrders },
  };
  const pages = await gather(later, box, Object.values(ways));
  await box.order("air", { what: "burst" });
  const invited = pages.slice(0, 3);
  const firsts = await hearEnough(invited);
  areInStep(["opus", "ours"], (await all(invited)).slice(0, 2), firsts);

  const [stranger, plain] = pages.slice(3);
  assert.deepEqual((await all([stranger, plain])).map(({ clicks }) => clicks.length), [0, 0], "who has no key hears nothing");
  const line = (page) => page.locator("#sealed").textContent();
  assert.match(await line(stranger), /Ask for an invitation/);
  assert.match(await line(plain), /https:\/\//);
  const shown = await Promise.all(invited.slice(0, 2).map((page) => page.locator("#sealed").isVisible()));
  assert.deepEqual(shown, [false, false], "who hears it is told nothing");
  console.log(`told a stranger: ${await line(stranger)}`);

  // Every phone says every five seconds how it fares.
  const statuses = async () => JSON.parse((await box.command("phones", "--json")).stdout).phones.map(({ status }) => status || {});
  const why = (words) => async () => (await statuses()).some(({ live_refused_why: it }) => words.includes(it));
  await until("the box knows who is without a token", why(["no_token"]), 30);
  await until("and who came over plain HTTP", why(["insecure"]), 30);
  await until("and that somebody meddles", why(["changed", "replayed"]), 30);
  const refused = (await statuses()).map(({ live_refused: count }) => count).filter(Boolean);
  assert.equal(refused.length, 3, "the other two could open everything");
  const { stdout } = await box.command("phones");
  assert.match(stdout, /left out \d+ pieces? of what is live: the last was (changed on the way|a repetition)/);
  console.log(stdout.split("\n").filter((it) => it.includes("left out")).join("; "));
});
