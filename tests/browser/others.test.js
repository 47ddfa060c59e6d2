// What an audience sees in Firefox and in Safari's engine: each state that `audience.test.js` shows Chromium.

import { after, before, test } from "node:test";
import { absent } from "./alone.js";
import { clickShow, startBox, startFirefox, whyNot } from "./helpers.js";
import { LANGUAGES, LETTERS, SIZES, assertWhole, dress, frame, names, show } from "./states.js";
import { engines, startWebKit, whyNoWebKit } from "./webkit.js";

const skip = whyNot() || false;
let box;

before(async () => {
  if (!skip) box = await startBox(clickShow);
});

after(async () => {
  if (box) await box.stop();
});

/** The page stands in a frame; `begin` gives `{ framed(url, extent), close() }`. */
const OTHERS = [
  { name: "Firefox ESR", lacks: () => absent("firefox"), begin: beginFirefox },
  ...engines.map((engine) => ({ name: `WebKit ${engine}`, lacks: () => whyNoWebKit(engine), begin: () => beginWebKit(engine) })),
];

async function beginFirefox() {
  const firefox = await startFirefox();
  const page = await firefox.newPage();
  return {
    async framed(url, extent) {
      await page.goto(new URL("/healthz", url).href);
      await page.evaluate(frame, { url, extent });
      return page.frames()[1];
    },
    close: () => firefox.close(),
  };
}

async function beginWebKit(engine) {
  const webkit = await startWebKit(engine);
  return {
    async framed(url, extent) {
      const page = await webkit.open(new URL("/healthz", url).href);
      await page.evaluate(frame, { url, extent });
      await webkit.enter();
      return page;
    },
    close: () => webkit.close(),
  };
}

for (const { name: client, lacks, begin } of OTHERS) {
  test(`sx18: every state is whole and readable in ${client}`, { skip: skip || lacks() || false, timeout: 120_000 }, async () => {
    const other = await begin();
    try {
      for (const [language, direction] of LANGUAGES) {
        for (const [size, extent] of Object.entries(SIZES)) {
          for (const letters of LETTERS) {
            const page = await other.framed(`http://localhost:${box.port}/`, extent);
            await dress(page, language, letters);
            for (const name of names) assertWhole(await show(page, name), { name, language, direction, size, letters });
          }
        }
      }
    } finally {
      await other.close();
    }
  });
}
