// What an audience sees in Chromium, at the sizes of phones: each state, in each language, from right to left, and in large
// letters. With `SHOTS=FOLDER` each is photographed.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { clickShow, startBox, startBrowser, whyNot } from "./helpers.js";
import { LANGUAGES, LETTERS, SIZES, assertWhole, dress, names, show, whereOf } from "./states.js";

const skip = whyNot() || false;
let box;
let browser;

before(async () => {
  if (skip) return;
  box = await startBox(clickShow);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

/** The page with its view alone. */
async function dressed(language, [width, height], letters) {
  const page = await browser.newPage({ viewport: { width, height }, deviceScaleFactor: 2 });
  await page.route("**/page/start.js", (route) => route.fulfill({ contentType: "text/javascript", body: "" }));
  await page.goto(`http://localhost:${box.port}/`);
  await dress(page, language, letters);
  return page;
}

async function photograph(page, name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
}

for (const [language, direction] of LANGUAGES) {
  test(`every state is whole and readable: ${language}, ${direction}`, { skip, timeout: 120_000 }, async () => {
    const errors = [];
    for (const [size, extent] of Object.entries(SIZES)) {
      for (const letters of LETTERS) {
        const page = await dressed(language, extent, letters);
        page.on("pageerror", (error) => errors.push(error.message));
        for (const name of names) {
          const which = { name, language, direction, size, letters };
          const seen = await show(page, name);
          await photograph(page, whereOf(which));
          assertWhole(seen, which);
        }
        await page.close();
      }
    }
    assert.deepEqual(errors, []);
  });
}

test("the page speaks the language that the browser asks for, and the address before it", { skip, timeout: 60_000 }, async () => {
  const context = await browser.newContext({ locale: "ja-JP" });
  const page = await context.newPage();
  const tap = () => page.textContent("#tap");
  const ready = () => page.waitForSelector("#tap:not(:empty)");
  await page.goto(`http://localhost:${box.port}/`);
  await ready();
  assert.deepEqual([await tap(), await page.getAttribute("html", "lang")], ["ショーに参加する", "ja"]);
  await page.goto(`http://localhost:${box.port}/?lang=en`);
  await ready();
  assert.deepEqual([await tap(), await page.getAttribute("html", "lang")], ["Join the show", "en"]);
  await context.close();
});
