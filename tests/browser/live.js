// What `live.test.js` has five pages live through, in a network namespace: `node live.js chromium`.

import assert from "node:assert/strict";
import { HERE, sendBy, tell } from "./alone.js";
import { all, areInStep, begin, gather, hearEnough, peersOf } from "./bursts.js";
import { captureOrders } from "./capture.js";
import { startProxy, until } from "./helpers.js";

/** Five of a hundred are lost, and each is up to 20 ms late. */
const BAD = ["--up", "loss=5%,jitter=even:10ms", "--down", "loss=5%,jitter=even:10ms"];

await tell(async (later) => {
  const { box, port } = await begin(later);
  const packets = await startProxy(port, 0, ["--udp", ...BAD], HERE);
  later(() => packets.close());
  const near = `http://localhost:${box.port}/`;
  // Over plain HTTP there is no decoder of the browser's to be hidden, and no worklet to listen with.
  const hide = (page) => page.addInitScript(() => { delete window.AudioDecoder; });
  const ways = {
    opus: { url: near },
    plain: { url: `http://${HERE}:${box.port}/`, ear: captureOrders },
    // It loses the first of each on its way.
    ours: {
      url: near,
      async prepare(page) {
        await hide(page);
        await Promise.all(["live.js", "opus.js", "opus.wasm"].map((name) => page.route(`**/page/${name}`, (route) => route.abort(), { times: 1 })));
      },
    },
    // Its browser's decoder cannot what it says.
    pcm16: {
      url: near,
      prepare: (page) => page.addInitScript(() => {
        window.AudioDecoder = class {
          static async isConfigSupported() { return { supported: true }; }
          configure() { throw new Error("it cannot"); }
        };
      }),
    },
    lossy: {
      url: near,
      prepare: (page) => page.addInitScript(sendBy, `${HERE} ${packets.port}`),
    },
  };
  const pages = await gather(later, box, Object.values(ways));
  await box.order("air", { what: "burst" });
  const firsts = await hearEnough(pages);
  const doing = await Promise.all(pages.map((page) => page.getAttribute("body", "data-doing")));
  assert.ok(doing.every((it) => it === "playing"), `the pages say ${doing}`);
  areInStep(Object.keys(ways), await all(pages), firsts);
  const sizes = (await peersOf(box)).map(({ traffic: { media } }) => media.bytes_out / media.messages_out);
  assert.equal(sizes.filter((bytes) => bytes > 3_840).length, 1, "one was sent samples");
  const lent = await Promise.all(pages.map((page) => page.evaluate(() => [window.isSecureContext, typeof AudioDecoder === "function"])));
  assert.deepEqual(lent.map(([isSecure]) => isSecure), [true, false, true, true, true]);
  assert.deepEqual(lent.map(([, decoder]) => decoder), [true, false, false, true, true]);
  const fetched = await Promise.all(pages.map((page) => page.evaluate(() => performance.getEntriesByName(`${location.origin}/page/opus.wasm`).length > 0)));
  assert.deepEqual(fetched.slice(0, 3).concat(fetched[4]), [false, true, true, false], "our decoder goes to those who have none");
  await until("all have every track", async () => (await box.command("status", "--json").then(({ stdout }) => JSON.parse(stdout))).phones.ready === pages.length, 30);
  console.log("all have every track, one of them over plain HTTP, where the browser verifies nothing itself");
  const { up, down } = await packets.account();
  assert.ok(down.lost > 0, "packets were lost");
  console.log(`${up.lost + down.lost} of ${up.packets + down.packets} packets of the lossy one were lost`);
});
