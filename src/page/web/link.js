// What carries messages to the box and back: the socket, or a stream (`lines.js`). When to open, close and speak, at which box and
// on which of the two, is the core's business.

import { createLines } from "./lines.js";

/**
 * @param {object} world
 * @param {() => string} world.url at the box that the page is with
 * @param {typeof WebSocket} world.WebSocket
 * @param {() => Promise<import("./types").ByteStream>} world.openStream in the session that there is
 * @param {() => number} world.nowMs
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @returns {import("./types").Link}
 */
export function createLink({ url, WebSocket, openStream, nowMs, tell }) {
  /** @type {import("./types").Carrier | null} */
  let carrier = null;

  /** @returns {import("./types").Carrier | null} */
  function openSocket() {
    /** @type {WebSocket} */
    let socket;
    try {
      socket = new WebSocket(url());
    } catch (_) {
      // Some browsers refuse at once while the network is away.
      Promise.resolve().then(() => tell({ event: "closed" }));
      return null;
    }
    socket.onopen = () => tell({ event: "opened" });
    socket.onmessage = ({ data }) => {
      const at_ms = nowMs();
      if (typeof data === "string") tell({ event: "heard", text: data, at_ms });
    };
    // A socket we have let go of must not speak into the next one's life.
    const close = () => {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    };
    socket.onclose = () => {
      close();
      tell({ event: "closed" });
    };
    return { say: (text) => { if (socket.readyState === 1) socket.send(text); }, close };
  }

  function drop() {
    const old = carrier;
    carrier = null;
    if (old) old.close();
  }

  return {
    perform(act) {
      if (act.act === "send" || act.act === "ask") {
        // Nanoseconds: no clock of a page is finer.
        if (carrier) carrier.say(act.act === "send" ? act.text : act.head + (nowMs() / 1000).toFixed(9) + act.tail);
        return;
      }
      drop();
      if (act.act === "open") carrier = openSocket();
      else if (act.act === "open_stream") carrier = createLines(openStream(), { nowMs, tell });
    },
  };
}
