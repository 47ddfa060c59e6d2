// The socket to the box. When to open, close and speak, and at which box, is the core's business.

/**
 * @param {object} world
 * @param {() => string} world.url at the box that the page is with
 * @param {typeof WebSocket} world.WebSocket
 * @param {() => number} world.nowMs
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @returns {import("./types").Link}
 */
export function createLink({ url, WebSocket, nowMs, tell }) {
  /** @type {WebSocket | null} */
  let socket = null;

  function open() {
    drop();
    /** @type {WebSocket} */
    let fresh;
    try {
      fresh = new WebSocket(url());
    } catch (_) {
      // Some browsers refuse at once while the network is away.
      Promise.resolve().then(() => tell({ event: "closed" }));
      return;
    }
    socket = fresh;
    fresh.onopen = () => tell({ event: "opened" });
    fresh.onmessage = ({ data }) => {
      const at_ms = nowMs();
      if (typeof data === "string") tell({ event: "heard", text: data, at_ms });
    };
    fresh.onclose = () => {
      drop();
      tell({ event: "closed" });
    };
  }

  // A socket we have let go of must not speak into the next one's life.
  function drop() {
    const old = socket;
    socket = null;
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.close();
  }

  return {
    perform(act) {
      if (act.act === "open") open();
      else if (act.act === "close") drop();
      else if (!socket || socket.readyState !== 1) return;
      else if (act.act === "send") socket.send(act.text);
      // Nanoseconds: no clock of a page is finer.
      else socket.send(act.head + (nowMs() / 1000).toFixed(9) + act.tail);
    },
  };
}
