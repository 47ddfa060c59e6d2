// The wake lock, and its return after a locked screen.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createWake } from "../../src/page/web/wake.js";

function stubLock() {
  const stub = { asked: 0, refuses: false, release: () => {} };
  stub.request = async () => {
    stub.asked += 1;
    if (stub.refuses) throw new Error("NotAllowedError");
    return { addEventListener: (_, act) => { stub.release = act; } };
  };
  return stub;
}

test("the screen stays on from the tap on, and again after it was locked", async () => {
  const lock = stubLock();
  const wake = createWake(lock);
  await wake.keep();
  await wake.keep();
  assert.equal(lock.asked, 1, "it is held");
  lock.release();
  await wake.keep();
  assert.equal(lock.asked, 2);
});

test("a lock that is refused is asked for when the page is there again", async () => {
  const lock = stubLock();
  lock.refuses = true;
  const wake = createWake(lock);
  await wake.keep();
  lock.refuses = false;
  await Promise.all([wake.keep(), wake.keep()]);
  assert.equal(lock.asked, 2, "once, however often the browser says that the page came back");
});

test("a page without locks does without", async () => {
  await createWake(undefined).keep();
});
