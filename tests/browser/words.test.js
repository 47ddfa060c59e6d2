// Words of a show are seen whole, on a projector's page and on phones of every shape, each in its own direction.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startBox, startBrowser, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
let box;
let browser;

const ENGLISH = "It was a dark and stormy night; the rain fell in torrents, except at occasional intervals, when it was checked by "
  + "a violent gust of wind which swept up the streets, and rattled along the housetops of it all.";
const JAPANESE = "山路を登りながら、こう考えた。智に働けば角が立つ。情に棹させば流される。意地を通せば窮屈だ。とかくに人の世は住みにくい。"
  + "住みにくさが高じると、安い所へ引き越したくなる。どこへ越しても住みにくいと悟った時、詩が生れて、画が出来る。"
  + "人の世を作ったものは神でもなければ鬼でもない。やはり向う三軒両隣りにちらちらするただの人である。ただの人が作った人の世が住みにくいからとて、越す国はあるまい。";
const HEBREW = "\u05e2\u05e8\u05d1 \u05d8\u05d5\u05d1!";
const TEXTS = ["Good evening", ENGLISH, JAPANESE, HEBREW];

function wordyShow(folder) {
  const cue = (number, text) => `\n[[list.cue]]\nnumber = ${number}\nphones = { color = "#ff9030", text = "${text}" }\n`;
  mkdirSync(folder, { recursive: true });
  const cues = TEXTS.map((text, k) => cue(k + 1, text)).join("");
  writeFileSync(join(folder, "show.toml"), `[show]\ntitle = "Words"\n\n[[list]]\nname = "main"\n${cues}`);
  return folder;
}

before(async () => {
  if (skip) return;
  box = await startBox(wordyShow);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

const PAGES = [["/screen", 1920, 1080], ["/screen", 1024, 768], ["/", 320, 568], ["/", 390, 844], ["/", 844, 390]];

/** In the page: the words, their size, and what of them is not seen. */
function look() {
  const [stage, words] = ["stage", "words"].map((id) => document.getElementById(id));
  const [port, it] = [stage, words].map((element) => element.getBoundingClientRect());
  const hidden = Math.max(0, port.top - it.top, it.bottom - port.bottom, -it.left, it.right - innerWidth);
  return { text: words.textContent, px: parseFloat(getComputedStyle(words).fontSize), hidden };
}

test("words of 190 letters are seen whole on projectors and phones, and short ones are as large as ever", { skip, timeout: 120_000 }, async (t) => {
  const pages = await Promise.all(PAGES.map(async ([path, width, height]) => {
    const page = await browser.newPage({ viewport: { width, height } });
    await page.goto(`http://localhost:${box.port}${path}`);
    if (path === "/") await page.click("#tap");
    return page;
  }));
  const sizes = new Map();
  for (const cue of [2, 1, 3, 2, 1]) {
    await box.command("fire", String(cue));
    const text = TEXTS[cue - 1];
    for (const [k, page] of pages.entries()) {
      const where = `${PAGES[k].join(" ")}: ${text.slice(0, 12)}`;
      const seen = await until(`it says ${where}`, async () => {
        const now = await page.evaluate(look);
        return now.text === text && now;
      });
      if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `words-${text.slice(0, 4)}-${PAGES[k].slice(1).join("x")}.png`) });
      assert.ok(seen.hidden <= 0.5, `${where}: ${seen.hidden} px are not seen, at ${seen.px} px`);
      assert.ok(seen.px >= 20, `${where}: ${seen.px} px`);
      assert.equal(seen.px, sizes.get(where) || seen.px, `${where}: whatever stood there before`);
      sizes.set(where, seen.px);
      t.diagnostic(`${where}: ${seen.px.toFixed(0)} px`);
    }
  }
  // A phone that is turned has another place for the same words.
  const phone = pages[2];
  await box.command("fire", "2");
  await phone.setViewportSize({ width: 568, height: 320 });
  await until("they fit there, too", async () => {
    const { text, hidden } = await phone.evaluate(look);
    return text === ENGLISH && hidden <= 0.5;
  });
  await Promise.all(pages.map((page) => page.close()));
});

test("words that run from right to left end on the left, on a page in English, too", { skip, timeout: 60_000 }, async () => {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
  await page.goto(`http://localhost:${box.port}/screen`);
  await box.command("fire", "4");
  await until("it says so", async () => (await page.textContent("#words")) === HEBREW);
  const [first, last] = await page.evaluate(() => {
    const text = document.getElementById("words").firstChild;
    return [0, text.length - 1].map((at) => {
      const range = document.createRange();
      range.setStart(text, at);
      range.setEnd(text, at + 1);
      return range.getBoundingClientRect().left;
    });
  });
  assert.ok(last < first, `the mark stands at ${last}, the first letter at ${first}`);
  await page.close();
});

test("a line in Japanese breaks between phrases, and its lamp stays before it", { skip, timeout: 60_000 }, async (t) => {
  const page = await browser.newPage({ viewport: { width: 320, height: 568 } });
  await page.goto(`http://localhost:${box.port}/screen?lang=ja`);
  await page.waitForFunction(() => document.documentElement.lang === "ja");
  if (!await page.evaluate(() => CSS.supports("word-break: auto-phrase"))) return t.skip("this browser knows no phrases");
  for (const letters of ["100%", "200%"]) {
    const { rows, gap } = await page.evaluate(async (letters) => {
      document.documentElement.style.fontSize = letters;
      // One of its own: the page's says something else every second.
      const status = document.getElementById("status").cloneNode(true);
      document.getElementById("status").replaceWith(status);
      const line = status.querySelector("#line");
      line.textContent = (await (await fetch("/page/words/ja.json")).json()).on_own_clock;
      const range = document.createRange();
      const tops = [...line.textContent].map((_, at) => {
        range.setStart(line.firstChild, at);
        range.setEnd(line.firstChild, at + 1);
        return Math.round(range.getBoundingClientRect().top);
      });
      const rows = [...new Set(tops)].map((top) => [...line.textContent].filter((_, at) => tops[at] === top).join(""));
      return { rows, gap: line.getClientRects()[0].left - status.querySelector("#lamp").getBoundingClientRect().right };
    }, letters);
    t.diagnostic(rows.join(" | "));
    for (const word of ["接続が", "再生は", "スマートフォン"]) assert.ok(rows.some((row) => row.includes(word)), `${word} is broken: ${rows.join(" | ")}`);
    assert.ok(rows.length > 1 && gap > 0 && gap < 30, `${gap}`);
  }
  await page.close();
});

test("whoever has colours of their own sees the show's, and where to tap", { skip, timeout: 60_000 }, async (t) => {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 }, forcedColors: "active" });
  await page.goto(`http://localhost:${box.port}/`);
  await page.waitForSelector("#tap:not(:empty)");
  if (!await page.evaluate(() => matchMedia("(forced-colors: active)").matches)) return t.skip("this browser cannot be told to");
  const style = (id, key) => page.evaluate(([id, key]) => getComputedStyle(document.getElementById(id) || document.body)[key], [id, key]);
  assert.notEqual(await style("tap", "borderTopColor"), "rgba(0, 0, 0, 0)", "the button has an edge");
  await box.command("fire", "1");
  await page.click("#tap");
  await until("it is orange", async () => (await style("", "backgroundColor")) === "rgb(255, 144, 48)");
  assert.equal(await style("words", "color"), "rgb(17, 17, 17)");
  assert.equal(await style("lamp", "borderTopColor"), "rgb(17, 17, 17)");
  await page.close();
});

test("a keyboard goes in, to the slider and back, and is never nowhere", { skip, timeout: 60_000 }, async () => {
  const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
  await page.goto(`http://localhost:${box.port}/`);
  await page.waitForSelector("#tap:not(:empty)");
  const where = () => page.evaluate(() => document.activeElement.id);
  await page.focus("#tap");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#door", { state: "hidden" });
  assert.equal(await where(), "stage");
  // The box has no sound to be early or late: what the core would show is shown by hand.
  await page.evaluate(() => { document.getElementById("ask").hidden = false; });
  await page.focus("#ask");
  await page.keyboard.press("Enter");
  assert.deepEqual([await page.isVisible("#ear"), await where()], [true, "ear-close"]);
  await page.keyboard.press("Escape");
  assert.deepEqual([await page.isVisible("#ear"), await where()], [false, "ask"]);
  await page.close();
});
