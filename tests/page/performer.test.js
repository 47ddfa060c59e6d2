// A performer's view: what comes next and how long until then, drawn on a document that we hold in our hands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createPrompter, span } from "../../src/page/web/performer.js";
import { wordsOf } from "./helpers.js";

function stage() {
  const time = { textContent: "" };
  const lists = { shown: [], draws: 0, replaceChildren(...all) { this.shown = all; this.draws += 1; } };
  const document = { getElementById: (id) => ({ time, lists })[id], createElement: () => ({}) };
  return { time, lists, prompter: createPrompter(document, wordsOf("en")) };
}

const NOW_MS = 1_790_000_000_000;
const storm = { number: 3, name: "Storm" };
const dawn = { number: 4, name: "Dawn" };
const list = { name: "main", last: storm, standby: { number: 5, name: "" }, coming: dawn, coming_at: 1_790_000_012.3 };
const said = { title: "Demo", paused: false, lists: [list], running: [{ ...storm, began_at: 1_789_999_990, ends_at: 1_790_000_064 }] };
const texts = (lists) => lists.shown.map(({ className, textContent }) => [className, textContent]);

test("what was ordered is counted down by network time, and goes on while the box is away", () => {
  const { lists, prompter } = stage();
  prompter.hear(said);
  prompter.draw(NOW_MS);
  assert.deepEqual(texts(lists), [["now", "3 Storm: 1:04 left"], ["label", "Next"], ["next", "4 Dawn"], ["count", "0:13"]]);
  prompter.draw(NOW_MS + 400);
  assert.equal(texts(lists)[3][1], "0:12");
  const { draws } = lists;
  prompter.draw(NOW_MS + 450);
  assert.equal(lists.draws, draws, "what stays the same is not drawn again");
  prompter.draw(NOW_MS + 20_000);
  assert.equal(texts(lists)[3][1], "0:00");
});

test("what the box has not said again for some seconds is shown as old, and as of when it was said", () => {
  const { lists, prompter } = stage();
  prompter.hear(said);
  prompter.draw(NOW_MS, 1000);
  const fresh = texts(lists);
  assert.notEqual(lists.className, "old");
  prompter.draw(NOW_MS, 9000);
  const then = new Date(NOW_MS - 9000).toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  assert.deepEqual([lists.className, texts(lists)], ["old", [["as-of", `As of ${then}`], ...fresh]]);
  prompter.draw(NOW_MS, 0);
  assert.deepEqual([lists.className, texts(lists)], ["", fresh]);
});

test("whoever has no token is told whom to ask, and is shown nothing", () => {
  const { lists, prompter } = stage();
  prompter.hear(said);
  prompter.draw(NOW_MS);
  prompter.refuse();
  prompter.draw(NOW_MS + 1000);
  assert.deepEqual(texts(lists), [["label", "This page is for performers. Ask whoever runs the show for your own code, and open that."]]);
});

test("what waits for GO says so, and a pause counts nothing down", () => {
  const { lists, prompter } = stage();
  prompter.hear({ ...said, running: [], lists: [{ ...list, coming: null, coming_at: null }] });
  prompter.draw(NOW_MS);
  assert.deepEqual(texts(lists), [["label", "Next"], ["next", "5"], ["wait", "On GO"]]);
  prompter.hear({ ...said, running: [], paused: true });
  prompter.draw(NOW_MS);
  assert.deepEqual(texts(lists), [["held", "Paused"], ["label", "Next"], ["next", "4 Dawn"]]);
  prompter.hear({ ...said, running: [], lists: [{ ...list, coming: null, standby: null, coming_at: null }] });
  prompter.draw(NOW_MS);
  assert.deepEqual(texts(lists), [["label", "Nothing more comes"]]);
});

test("seconds that are left are rounded up, so that nobody comes in early", () => {
  assert.deepEqual([0, 0.1, 59.9, 60, 3599.2, -5].map(span), ["0:00", "0:01", "1:00", "1:00", "60:00", "0:00"]);
});
