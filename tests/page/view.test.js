// What the page shows, on a document that we hold in our hands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createView } from "../../src/page/web/view.js";

function stubDocument(ids) {
  const marks = new Set();
  const part = () => ({
    textContent: "", hidden: true, value: "0", disabled: false, acts: {},
    addEventListener(name, act) { this.acts[name] = act; },
    setAttribute() {},
  });
  const parts = new Map(ids.map((id) => [id, part()]));
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
  errors: "clock ± 1.2 ms, output unknown, heard unknown", nudge_ms: 0, duet: { is_on: false, line: "" },
};
const nobody = { nudged() {}, calibrate() {} };

test("colour, words and the state line stand on the page", () => {
  const page = stubDocument(PHONE);
  createView(page, nobody).show(look);
  assert.equal(page.body.style.backgroundColor, "#ff9030");
  assert.equal(page.parts.get("words").textContent, "Good evening");
  assert.equal(page.parts.get("line").textContent, "in step (± 1.2 ms)");
  assert.equal(page.title, "Demo: Downbeat");
  assert.deepEqual([...page.marks].sort(), ["dark-ink", "has-words", "in-step"]);
});

test("a tap is asked for while it is needed and goes away when it was given", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, nobody);
  view.show({ ...look, state: { state: "tap_to_start" }, line: "tap to start" });
  assert.deepEqual([page.parts.get("tap").hidden, page.parts.get("tap-line").textContent], [false, "tap to start"]);
  view.show(look);
  assert.equal(page.parts.get("tap").hidden, true);
});

test("a projector's page has no tap and shows the same", () => {
  const page = stubDocument(["words", "line"]);
  createView(page, nobody).show({ ...look, state: { state: "connecting" }, line: "connecting …" });
  assert.equal(page.parts.get("line").textContent, "connecting …");
  assert.ok(page.marks.has("waiting"));
});

test("what stays the same is not written again", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, nobody);
  view.show(look);
  page.parts.get("words").textContent = "untouched";
  view.show({ ...look, color: "#000000" });
  assert.equal(page.parts.get("words").textContent, "untouched");
});

const EAR = ["ask", "ear", "ear-close", "nudge", "nudge-said", "nudge-later", "nudge-earlier", "calibrate", "duet", "errors"];

test("sx20: who hears it late opens the slider, and the core is told by how much", () => {
  const told = [];
  const page = stubDocument([...PHONE, ...EAR]);
  const part = (id) => page.parts.get(id);
  const view = createView(page, { nudged: (ms) => told.push(ms), calibrate: () => told.push("calibrate") });
  view.show(look);
  assert.equal(part("ear").hidden, true, "out of the way until it is asked for");
  part("ask").acts.click();
  assert.equal(part("ear").hidden, false);
  part("nudge").value = "40";
  part("nudge").acts.input();
  part("nudge-later").acts.click();
  part("calibrate").acts.click();
  assert.deepEqual(told, [40, 39, "calibrate"]);
  view.show({ ...look, nudge_ms: 39, duet: { is_on: true, line: "listening" } });
  assert.deepEqual([part("nudge").value, part("nudge-said").textContent], ["39", "39 ms earlier"]);
  assert.deepEqual([part("calibrate").disabled, part("duet").textContent], [true, "listening"]);
  view.show({ ...look, nudge_ms: -7 });
  assert.equal(part("nudge-said").textContent, "7 ms later");
  assert.match(part("errors").textContent, /output unknown/);
  part("ear-close").acts.click();
  assert.equal(part("ear").hidden, true);
});
