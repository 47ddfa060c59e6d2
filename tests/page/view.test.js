// What the page shows, on a document that we hold in our hands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createView } from "../../src/page/web/view.js";

function stubDocument(ids) {
  const marks = new Set();
  const parts = new Map(ids.map((id) => [id, { textContent: "", hidden: true, writes: 0 }]));
  const body = {
    style: {},
    classList: { toggle: (name, on) => { if (on) marks.add(name); else marks.delete(name); } },
  };
  return { body, marks, parts, title: "", querySelector: () => null, getElementById: (id) => parts.get(id) || null };
}

const PHONE = ["words", "line", "tap", "tap-title", "tap-line"];
const look = {
  color: "#ff9030", ink: "dark", text: "Good evening", title: "Demo", line: "in step (± 1.2 ms)",
  state: { state: "in_step", bound_ms: 1.2 }, still_until_ms: null, correction_ms: null, correction_sigma_ms: null,
};

test("colour, words and the state line stand on the page", () => {
  const page = stubDocument(PHONE);
  createView(page).show(look);
  assert.equal(page.body.style.backgroundColor, "#ff9030");
  assert.equal(page.parts.get("words").textContent, "Good evening");
  assert.equal(page.parts.get("line").textContent, "in step (± 1.2 ms)");
  assert.equal(page.title, "Demo: Downbeat");
  assert.deepEqual([...page.marks].sort(), ["dark-ink", "has-words", "in-step"]);
});

test("a tap is asked for while it is needed and goes away when it was given", () => {
  const page = stubDocument(PHONE);
  const view = createView(page);
  view.show({ ...look, state: { state: "tap_to_start" }, line: "tap to start" });
  assert.deepEqual([page.parts.get("tap").hidden, page.parts.get("tap-line").textContent], [false, "tap to start"]);
  view.show(look);
  assert.equal(page.parts.get("tap").hidden, true);
});

test("a projector's page has no tap and shows the same", () => {
  const page = stubDocument(["words", "line"]);
  createView(page).show({ ...look, state: { state: "connecting" }, line: "connecting …" });
  assert.equal(page.parts.get("line").textContent, "connecting …");
  assert.ok(page.marks.has("waiting"));
});

test("what stays the same is not written again", () => {
  const page = stubDocument(PHONE);
  const view = createView(page);
  view.show(look);
  page.parts.get("words").textContent = "untouched";
  view.show({ ...look, color: "#000000" });
  assert.equal(page.parts.get("words").textContent, "untouched");
});
