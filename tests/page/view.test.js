// What the page shows, on a document that we hold in our hands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createView } from "../../src/page/web/view.js";
import { wordsOf } from "./helpers.js";

function stubDocument(ids) {
  const marks = new Set();
  const part = () => ({
    textContent: "", hidden: true, value: "0", disabled: false, acts: {},
    addEventListener(name, act) { this.acts[name] = act; },
    setAttribute() {},
    focus() {},
  });
  const parts = new Map(ids.map((id) => [id, part()]));
  const body = {
    style: {}, dataset: {},
    classList: { toggle: (name, on) => { if (on) marks.add(name); else marks.delete(name); } },
  };
  return { body, marks, parts, title: "", querySelector: () => null, getElementById: (id) => parts.get(id) || null };
}

const words = wordsOf("en");
const PHONE = ["words", "line", "door", "door-title", "door-hint", "tap", "hint", "news", "news-line", "reload"];
const inStep = { state: "in_step", bound_ms: 1.2, doing: "playing" };
const errors = { clock_ms: 1.2, output_ms: null, output_source: "unknown", acoustic_ms: null };
const look = {
  color: "#ff9030", ink: "dark", text: "Good evening", title: "Demo", torch: false, wants_torch: false, state: inStep, fare: inStep,
  still_until_ms: null, correction_ms: null, correction_sigma_ms: null, errors, nudge_ms: 0, ear: "nudges",
  duet: { is_on: false, news: { news: "none" } }, calibrates: true,
};
const faring = (fare) => ({ ...look, state: fare, fare });
const nobody = { nudged() {}, calibrate() {}, reload() {}, lend() {} };

test("colour, words and the state line stand on the page", () => {
  const page = stubDocument(PHONE);
  createView(page, words, nobody).show(look);
  assert.equal(page.body.style.backgroundColor, "#ff9030");
  assert.equal(page.parts.get("words").textContent, "Good evening");
  assert.equal(page.parts.get("line").textContent, "Playing");
  assert.equal(page.title, "Demo · Downbeat");
  assert.deepEqual([...page.marks].sort(), ["dark-ink", "has-words", "in-step"]);
});

test("a tap is asked for while it is needed, and how the phone fares is said beneath it", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, words, nobody);
  const loading = { state: "loading", ready: 3, of: 5 };
  view.show({ ...look, state: { state: "tap_to_start" }, fare: loading });
  assert.deepEqual([page.parts.get("door").hidden, page.parts.get("tap").textContent], [false, "Join the show"]);
  assert.equal(page.parts.get("line").textContent, "Loading 3 of 5 …");
  view.show({ ...look, state: { state: "tap_to_start" }, fare: { ...inStep, doing: "ready" } });
  assert.equal(page.parts.get("line").textContent, "Ready: tap, and you are in");
  view.show(look);
  assert.equal(page.parts.get("door").hidden, true);
  view.show({ ...look, state: { state: "tap_to_wake" } });
  assert.deepEqual([page.parts.get("door").hidden, page.parts.get("tap").textContent], [false, "Tap to go on"]);
});

test("sx16: whoever is turned away at the door is offered to come in as audience", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, words, nobody);
  view.show({ ...look, state: { state: "tap_to_start" }, fare: { state: "refused", code: "unauthorized" } });
  const said = (part) => page.parts.get(part).textContent;
  assert.deepEqual([said("tap"), said("door-title")], ["Go on as audience", "Demo"]);
  assert.match(said("door-hint"), /Without an invitation/);
  assert.match(said("line"), /not valid, or has run out/);
});

test("each moment is said in plain words", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, words, nobody);
  const said = (fare) => {
    view.show(faring(fare));
    return page.parts.get("line").textContent;
  };
  assert.equal(said({ state: "connecting" }), "Joining …");
  assert.equal(said({ state: "finding_the_beat" }), "Finding the time …");
  assert.equal(said({ ...inStep, doing: "ready" }), "Ready");
  assert.equal(said({ ...inStep, doing: "paused" }), "Paused: it goes on soon");
  assert.match(said({ ...inStep, state: "on_own_clock" }), /goes on by itself/);
  assert.match(said({ state: "refused", code: "unauthorized" }), /not valid, or has run out/);
  assert.match(said({ state: "refused", code: "rate_limited" }), /shown again in a minute/);
  assert.match(said({ state: "outdated" }), /too old/);
  assert.deepEqual([page.parts.get("news").hidden, page.body.dataset.state], [false, "outdated"], "it can be loaded again");
});

test("while the box is away each page says what is so: what goes on, what is old, or that it looks for the show", () => {
  const said = (role, doing, state = undefined) => {
    const page = stubDocument(PHONE);
    page.body.dataset.role = role;
    const fare = { ...inStep, state: "on_own_clock", doing };
    createView(page, words, nobody).show({ ...look, state: state || fare, fare });
    return page.parts.get("line").textContent;
  };
  assert.match(said("phone", "playing"), /Your phone goes on/);
  assert.match(said("screen", "playing"), /This screen goes on/);
  assert.match(said("performer", "playing"), /may be old/);
  for (const line of [said("phone", "ready"), said("phone", "ready", { state: "tap_to_start" }), said("screen", "paused")]) assert.match(line, /Looking for the show/);
});

test("a newer page is offered, and loaded by whoever wants it", () => {
  let loads = 0;
  const page = stubDocument(PHONE);
  const view = createView(page, words, { ...nobody, reload: () => { loads += 1; } });
  view.show(look);
  assert.equal(page.parts.get("news").hidden, true);
  view.tell("update");
  assert.deepEqual([page.parts.get("news").hidden, page.parts.get("news-line").textContent], [false, "There is a newer page."]);
  page.parts.get("reload").acts.click();
  assert.equal(loads, 1);
});

test("who hears by Bluetooth is told that it comes late", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, words, nobody);
  view.show(look);
  assert.equal(page.parts.get("hint").hidden, true);
  view.show({ ...look, errors: { ...errors, output_source: "doubtful" } });
  assert.equal(page.parts.get("hint").hidden, false);
  assert.match(page.parts.get("hint").textContent, /Bluetooth/);
});

test("who has to keep the screen on by hand is told so after the tap, too, unless there is something graver to say", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, words, nobody);
  const hint = page.parts.get("hint");
  view.tellDimming(true);
  view.show({ ...look, state: { state: "tap_to_start" } });
  assert.equal(hint.hidden, true, "the door says it");
  view.show(look);
  assert.deepEqual([hint.hidden, hint.textContent], [false, words.say("screen_hint")]);
  view.show({ ...look, unplayable: 1 });
  assert.equal(hint.textContent, words.say("unplayable_hint"));
  view.tellDimming(false);
  view.show(look);
  assert.equal(hint.hidden, true);
});

test("sx18: whose browser cannot play a track is told so, rather than of Bluetooth", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, words, nobody);
  view.show({ ...look, unplayable: 1, errors: { ...errors, output_source: "doubtful" } });
  assert.equal(page.parts.get("hint").hidden, false);
  assert.equal(page.parts.get("hint").textContent, "This browser cannot play everything in this show.");
});

test("a projector's page has no tap and shows the same", () => {
  const page = stubDocument(["words", "line"]);
  createView(page, words, nobody).show(faring({ state: "connecting" }));
  assert.equal(page.parts.get("line").textContent, "Joining …");
  assert.ok(page.marks.has("waiting"));
});

test("what stays the same is not written again", () => {
  const page = stubDocument(PHONE);
  const view = createView(page, words, nobody);
  view.show(look);
  page.parts.get("words").textContent = "untouched";
  view.show({ ...look, color: "#000000" });
  assert.equal(page.parts.get("words").textContent, "untouched");
});

const EAR = ["ask", "ear", "nudging", "ear-close", "nudge", "nudge-said", "nudge-later", "nudge-earlier", "calibrate", "duet", "errors"];

test("a phone's lamp is asked for where a cue lights it, once somebody is in, over nothing else, and until it is lent or not", () => {
  const page = stubDocument([...PHONE, "lending", "lend", "lend-not"]);
  const told = [];
  const view = createView(page, words, { ...nobody, lend: () => told.push("lend") });
  const lit = { ...look, text: "", wants_torch: true };
  const isShown = (lamp, now) => {
    view.tellLamp(lamp);
    view.show(now);
    return !page.parts.get("lending").hidden;
  };
  assert.deepEqual([isShown("free", { ...lit, wants_torch: false }), isShown("free", { ...lit, state: { state: "tap_to_start" } })], [false, false]);
  assert.deepEqual([isShown("free", lit), isShown("free", { ...lit, text: "Good evening" }), isShown("free", lit)], [true, false, true]);
  page.parts.get("lend").acts.click();
  assert.deepEqual(told, ["lend"]);
  assert.deepEqual([isShown("lent", lit), isShown("missing", lit), isShown("free", lit)], [false, false, true]);
  page.parts.get("lend-not").acts.click();
  assert.equal(page.parts.get("lending").hidden, true, "at once");
  view.show(lit);
  assert.equal(page.parts.get("lending").hidden, true, "and from then on");
});

test("sx20: who hears it late opens the slider, and the core is told by how much", () => {
  const told = [];
  const page = stubDocument([...PHONE, ...EAR]);
  const part = (id) => page.parts.get(id);
  const view = createView(page, words, { nudged: (ms) => told.push(ms), calibrate: () => told.push("calibrate"), reload() {} });
  view.show(look);
  assert.equal(part("ear").hidden, true, "out of the way until it is asked for");
  part("ask").acts.click();
  assert.equal(part("ear").hidden, false);
  part("nudge").value = "40";
  part("nudge").acts.input();
  part("nudge-later").acts.click();
  part("calibrate").acts.click();
  assert.deepEqual(told, [40, 39, "calibrate"]);
  view.show({ ...look, nudge_ms: 39, duet: { is_on: true, news: { news: "listening" } } });
  assert.deepEqual([part("nudge").value, part("nudge-said").textContent], ["39", "39 ms earlier"]);
  assert.deepEqual([part("calibrate").disabled, part("duet").textContent], [true, words.say("duet_listening")]);
  view.show({ ...look, duet: { is_on: false, news: { news: "found", late_ms: -25.04, sigma_ms: 0.21 } } });
  assert.equal(part("duet").textContent, "Calibrated: it was 25 ms early, now it is within 0.5 ms.");
  view.show({ ...look, nudge_ms: -7 });
  assert.equal(part("nudge-said").textContent, "7 ms later");
  assert.equal(part("errors").textContent, "Clock ± 1.2 ms, output unknown, heard unknown");
  part("ear-close").acts.click();
  assert.equal(part("ear").hidden, true);
});

test("sx20: before anything has sounded there is nothing to move, but a microphone may calibrate", () => {
  const page = stubDocument([...PHONE, ...EAR]);
  const part = (id) => page.parts.get(id);
  const view = createView(page, words, nobody);
  const offers = (ear) => {
    view.show({ ...look, ear });
    return [!part("ask").hidden, part("ask").textContent, !part("nudging").hidden];
  };
  assert.equal(offers("closed")[0], false);
  assert.deepEqual(offers("calibrates"), [true, words.say("calibrate"), false]);
  assert.deepEqual(offers("nudges"), [true, words.say("out_of_step"), true]);
  assert.equal(part("calibrate").hidden, false);
  view.show({ ...look, calibrates: false, duet: { is_on: false, news: { news: "failed", why: "box_is_deaf" } } });
  assert.equal(part("calibrate").hidden, true, "no box is asked for what it cannot do");
  assert.match(part("duet").textContent, /no microphone/);
});
