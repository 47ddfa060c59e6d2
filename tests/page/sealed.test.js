// Sealed live sound as the page opens it: by node's WebCrypto, and the vectors that OpenSSL sealed and Rust reads, too.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createSeal, createSealLine } from "../../src/page/web/sealed.js";
import { wordsOf } from "./helpers.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors/sealed/sealed.json", import.meta.url), "utf8"));
const KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const NOW_S = 1_790_000_000.6;

/** A token that claims this. */
const tokenOf = (claims) => ["{}", JSON.stringify(claims), "signature"].map((part) => Buffer.from(part).toString("base64url")).join(".");

function begin(world = {}) {
  const [events, said] = [[], []];
  const { subtle } = crypto;
  const token = tokenOf({ role: "audience", seal: KEY });
  const seal = createSeal({ isSecure: true, subtle, token, netS: () => NOW_S, tell: (it) => events.push(it), say: (it) => said.push(it), ...world });
  const hear = (text) => seal.hear({ event: "live_heard", text, at_ms: 5 });
  return { hear, events, said };
}

test("sx20: what OpenSSL sealed is heard, and what was changed, moved or said before is not", async () => {
  const { hear, events } = begin();
  // All at once: they are opened one after the other.
  await Promise.all(vectors.map(({ text }) => hear(text)));
  assert.equal(events.length, vectors.length);
  vectors.forEach(({ name, is, data }, k) => {
    const event = events[k];
    assert.equal(event.event === "live_heard" ? "opened" : event.why, is, name);
    if (is !== "opened") return;
    const said = JSON.parse(event.text);
    assert.deepEqual([said.type, said.data, event.at_ms], ["media_data", data, 5], name);
  });
  assert.deepEqual([...new Set(vectors.map(({ is }) => is))].sort(), ["changed", "opened", "other_key", "replayed", "unsealed"]);
});

const first = vectors[0].text;
const withoutKey = [
  ["over plain HTTP there is no key", { isSecure: false, subtle: undefined, token: undefined }, "insecure"],
  ["a page without a token has none", { token: undefined }, "no_token"],
  ["a token of before the show was sealed has none", { token: tokenOf({ role: "audience" }) }, "other_key"],
  ["a key that is none is none", { token: tokenOf({ seal: "AAECAw" }) }, "other_key"],
  ["a token that is none has none", { token: "soon" }, "other_key"],
  ["another show's key opens nothing", { token: tokenOf({ seal: KEY.replace("AAEC", "AAED") }) }, "other_key"],
];
for (const [name, world, why] of withoutKey) {
  test(`sx20: ${name}, and the page says why`, async () => {
    const { hear, events, said } = begin(world);
    await hear(first);
    await hear(first);
    assert.deepEqual(events, [{ event: "live_refused", why }, { event: "live_refused", why }]);
    assert.deepEqual(said, [why], "said once");
  });
}

test("what is not sealed is passed on where no token says that it would be", async () => {
  const { hear, events } = begin({ token: tokenOf({ role: "operator" }) });
  const plain = vectors.find(({ is }) => is === "unsealed").text;
  await hear(plain);
  assert.deepEqual(events, [{ event: "live_heard", text: plain, at_ms: 5 }]);
});

test("a start's key is drawn once, however much is sealed with it", async () => {
  let drawn = 0;
  const subtle = new Proxy(crypto.subtle, { get(all, name) {
    if (name === "deriveKey") drawn += 1;
    return all[name].bind(all);
  } });
  const { hear } = begin({ subtle });
  for (const { text } of vectors.slice(0, 3)) await hear(text);
  assert.equal(drawn, 1);
});

test("the page says in plain words why nothing is heard, and stops saying so once something is", () => {
  const line = { hidden: false, textContent: "", setAttribute() {} };
  const foot = { all: [], prepend(it) { this.all.push(it); } };
  const say = createSealLine({ createElement: () => line, getElementById: () => foot }, wordsOf("en"));
  assert.deepEqual(foot.all, [line]);
  const shown = (why) => { say(why); return line.hidden ? "" : line.textContent; };
  assert.match(shown("insecure"), /https/);
  assert.match(shown("no_token"), /invitation/);
  assert.match(shown("other_key"), /new one/);
  assert.equal(shown("replayed"), shown("changed"));
  assert.equal(shown(null), "");
});
