// The page's words: every language has them all, and no other file of the page holds any.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { LANGUAGES, choose, createWords, loadWords } from "../../src/page/web/words.js";
import { tableOf, web, wordsOf } from "./helpers.js";

const webFolder = new URL("../../src/page/web/", import.meta.url);
const names = (sentence) => [...sentence.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test("every language has the same sentences with the same values in them", () => {
  const [first, ...others] = LANGUAGES.map(tableOf);
  assert.ok(others.length > 0);
  for (const other of others) {
    assert.deepEqual(Object.keys(other), Object.keys(first));
    for (const [key, sentence] of Object.entries(first)) {
      assert.ok(other[key].trim() !== "", key);
      assert.deepEqual(names(other[key]), names(sentence), key);
    }
  }
  assert.deepEqual(readdirSync(new URL("words/", webFolder)).sort(), LANGUAGES.flatMap((it) => [`${it}-later.json`, `${it}.json`]));
});

test("every sentence is said somewhere, and what is said is there", () => {
  const files = readdirSync(webFolder).filter((name) => /\.(js|html)$/.test(name)).map(web).join("\n");
  const states = [...web("types.d.ts").matchAll(/"([a-z_]+)"/g)].map(([, name]) => name);
  const known = Object.keys(tableOf("en"));
  const said = [...files.matchAll(/(?:say\((?:\w+ \? )?|data-say(?:-label)?=|: )"([a-z]\w*)"/g)].map(([, key]) => key);
  const made = states.flatMap((name) => [name, `duet_${name}`, `source_${name}`, `sealed_${name}`]);
  const unused = known.filter((key) => !said.includes(key) && !made.includes(key) && !["language", "direction"].includes(key));
  assert.deepEqual(unused.filter((key) => !files.includes(`"${key}"`)), []);
  const named = [...files.matchAll(/(?:words\.say\(|data-say(?:-label)?=)"([a-z]\w*)"/g)].map(([, key]) => key);
  assert.ok(named.length > 15);
  assert.deepEqual(named.filter((key) => !known.includes(key)), []);
});

const pages = readdirSync(webFolder).filter((it) => it.endsWith(".html"));
/** What a page says before it has its words, each in two languages. */
const EARLY = /<p[^>]*>[^<]+<br><span lang="ja">[^<]+<\/span><\/p>/g;

test("a page that has nothing but itself says in both languages that it is trying, and after a failure that it still is", () => {
  for (const name of pages.filter((it) => it !== "away.html")) {
    const [first, again, ...more] = web(name).match(EARLY);
    assert.deepEqual([/hidden/.test(first), /id="trying"[^>]* hidden/.test(again), more], [false, true, []], name);
  }
});

test("no word but these stands in the pages themselves", () => {
  for (const name of pages) {
    const body = web(name).replace(/<noscript>.*?<\/noscript>/s, "").replace(/<title>Downbeat<\/title>/, "").replace(EARLY, "");
    assert.deepEqual([...body.matchAll(/>\s*([^<>]*\p{L}[^<>]*)</gu)].map(([, text]) => text), [], name);
    assert.doesNotMatch(body, /\b(aria-label|title|alt|placeholder)="[^"]/, name);
  }
});

test("japanese writes one thing in one way, in the pages before this one, too", () => {
  const trust = ["own", "before", "believed", "unknown", "no_https"].map((name) => web(`../../io/http/trust/${name}.html`));
  for (const text of [web("words/ja.json"), web("words/ja-later.json"), ...trust]) assert.doesNotMatch(text, /ブラウザー|生の音/);
});

test("the first language that is asked for and there is taken", () => {
  assert.equal(choose(["fr-CA", "ja-JP", "en"]), "ja");
  assert.equal(choose(["EN-us"]), "en");
  assert.equal(choose(["xx", ""]), "en");
  assert.equal(choose([]), "en");
});

test("a page that cannot have its words says so", async () => {
  const fetch = async () => ({ ok: false, status: 503 });
  await assert.rejects(loadWords({ fetch, asked: ["ja"] }), /503/);
  assert.throws(() => wordsOf("en").say("nothing_of_the_kind"), /no words/);
});

test("words for what comes later are there once they were asked for, in the page's language", async () => {
  const fetch = async (url) => ({ ok: true, json: async () => JSON.parse(web(url.replace("/page/", ""))) });
  const words = await loadWords({ fetch, asked: ["ja"] });
  assert.throws(() => words.say("duet_asking"), /no words/);
  await words.more();
  assert.equal(words.say("duet_asking"), wordsOf("ja").say("duet_asking"));
});

test("a bound is rounded up and never shown as nothing", () => {
  const { bound } = wordsOf("en");
  assert.deepEqual([0, 1.21, 9.95, 31.2, null].map(bound), ["± 0.1 ms", "± 1.3 ms", "± 10 ms", "± 32 ms", "unknown"]);
  const arabic = createWords("ar-EG", { bound: "{bound}" });
  assert.equal(arabic.bound(12), "١٢");
});

test("sides are start and end, and sizes follow the reader's letters", () => {
  const css = ["style.css", "performer.css"].map(web).join("").replace(/\/\*.*?\*\//gs, "");
  assert.doesNotMatch(css, /(margin|padding|border)-(left|right)|text-align:\s*(left|right)|float:/);
  // What stands at one side only would stand on the wrong one.
  for (const [rule] of css.matchAll(/\{[^{}]*\b(?:left|right):[^{}]*\}/g)) assert.match(rule, /left: 0;[^]*right: 0;|right: 0;[^]*left: 0;/);
  assert.doesNotMatch(css, /font(-size)?:[^;]*\b\d+px/);
});
