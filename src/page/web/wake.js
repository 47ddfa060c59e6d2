// Keeps the screen on once somebody has come in: a dark screen stops the sound and drops the socket.
//
// The browser takes its lock back whenever the page is hidden, so it is asked again each time the page is there.

/**
 * @param {{ request(kind: "screen"): Promise<{ addEventListener(name: "release", act: () => void): void }> } | undefined} wakeLock
 *   over TLS only
 * @returns {import("./types").Wake}
 */
export function createWake(wakeLock) {
  let isHeld = false;
  let isAsked = false;

  async function keep() {
    if (!wakeLock || isHeld || isAsked) return;
    isAsked = true;
    try {
      const lock = await wakeLock.request("screen");
      isHeld = true;
      lock.addEventListener("release", () => { isHeld = false; });
    } catch (_) {
      // An empty battery, or a page that is hidden again by now: it is asked when the page is there again.
    }
    isAsked = false;
  }

  return { keep };
}
