// What a page says of its battery.

import assert from "node:assert/strict";
import { test } from "node:test";
import { watchBattery } from "../../src/page/web/battery.js";

test("sx12: a battery that runs down is told of, not only how it was at first", async () => {
  const said = [];
  const battery = { level: 0.8, acts: [], addEventListener(name, act) { if (name === "levelchange") this.acts.push(act); } };
  await watchBattery({ getBattery: async () => battery }, (level) => said.push(level));
  assert.deepEqual(said, [0.8]);
  battery.level = 0.79;
  battery.acts.forEach((act) => act());
  assert.deepEqual(said, [0.8, 0.79]);
});

test("sx12: a browser that has no battery to tell of, or does not tell, says nothing", async () => {
  const said = [];
  await watchBattery({}, (level) => said.push(level));
  await watchBattery({ getBattery: async () => { throw new Error("NotAllowedError"); } }, (level) => said.push(level));
  assert.deepEqual(said, []);
});
