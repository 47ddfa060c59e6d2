// The phone's own lamp, on a camera that we hold in our hands.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createTorch } from "../../src/page/web/torch.js";

function stubCamera({ torch = true, refuses = "" } = {}) {
  const camera = { lit: [], asked: 0, stopped: false, free: () => {}, end: () => {} };
  const track = {
    getCapabilities: () => ({ torch }),
    addEventListener: (_, act) => { camera.end = act; },
    stop() { camera.stopped = true; },
    applyConstraints({ advanced: [{ torch: on }] }) {
      camera.lit.push(on);
      return new Promise((done) => { camera.free = done; });
    },
  };
  camera.getUserMedia = async () => {
    camera.asked += 1;
    if (refuses) throw new DOMException("no", refuses);
    return { getVideoTracks: () => [track] };
  };
  return camera;
}

async function settle() {
  for (let k = 0; k < 10; k += 1) await Promise.resolve();
}

test("a lamp that is lent shows what is wanted, one change at a time, and what was wanted last counts", async () => {
  const [camera, news] = [stubCamera(), []];
  const torch = createTorch(camera, (it) => news.push(it));
  torch.set(true);
  assert.equal(camera.asked, 0, "nobody lent it");
  await torch.lend();
  assert.deepEqual([news, camera.lit], [["lent"], [true]]);
  [false, true, false].forEach(torch.set);
  assert.deepEqual(camera.lit, [true], "the camera is still at it");
  camera.free();
  await settle();
  assert.deepEqual(camera.lit, [true, false]);
});

test("a lamp that a call takes away may be lent again, and is lit as it should be by then", async () => {
  const [camera, news] = [stubCamera(), []];
  const torch = createTorch(camera, (it) => news.push(it));
  await torch.lend();
  camera.end();
  torch.set(true);
  assert.deepEqual([news, camera.lit], [["lent", "free"], []]);
  await torch.lend();
  assert.deepEqual([news, camera.lit], [["lent", "free", "lent"], [true]]);
});

test("no camera, no lamp on it, and a holder who says no are all the same: there is none", async () => {
  const heard = async (camera) => {
    const news = [];
    await createTorch(camera, (it) => news.push(it)).lend();
    return news;
  };
  const dark = stubCamera({ torch: false });
  assert.deepEqual(await heard(dark), ["missing"]);
  assert.ok(dark.stopped, "its camera is let go");
  assert.deepEqual(await heard(stubCamera({ refuses: "NotFoundError" })), ["missing"]);
  assert.deepEqual(await heard(stubCamera({ refuses: "NotAllowedError" })), ["missing"]);
});
