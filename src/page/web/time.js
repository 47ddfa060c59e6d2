// WebTransport to the box: clock questions in datagrams, and a stream for whoever wants one. When to open, close and ask is the
// core's business.

/** @typedef {import("./types").TimeAct} TimeAct */

const CHANNEL = "web_transport";

/**
 * @param {object} world
 * @param {(typeof globalThis.WebTransport) | undefined} world.WebTransport absent over plain HTTP and in old browsers
 * @param {() => number} world.nowMs
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @returns {import("./types").Time}
 */
export function createTime({ WebTransport, nowMs, tell }) {
  /** @type {WebTransport | null} */
  let session = null;
  /** @type {WritableStreamDefaultWriter<Uint8Array> | null} */
  let writer = null;

  /** @param {import("./types").OpenTime} act */
  async function open({ url, hashes }) {
    close();
    /** @type {WebTransport | null} */
    let fresh = null;
    try {
      if (!WebTransport) throw new Error("this browser has none");
      const serverCertificateHashes = hashes.map((hash) => ({ algorithm: "sha-256", value: octets(hash) }));
      fresh = new WebTransport(url, { serverCertificateHashes });
      session = fresh;
      // It ends this way or that; we hear of it below.
      fresh.closed.catch(() => {});
      await fresh.ready;
      if (session !== fresh) return;
      writer = fresh.datagrams.writable.getWriter();
      tell({ event: "time_opened", channel: CHANNEL });
      await listen(fresh);
    } catch (_) {
      // Not here, not now, or not any more: all the same to us.
    }
    if (session !== fresh) return;
    close();
    tell({ event: "time_closed", channel: CHANNEL });
  }

  /** @param {WebTransport} from */
  async function listen(from) {
    const reader = from.datagrams.readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      const at_ms = nowMs();
      if (done || session !== from) return;
      tell({ event: "time_heard", channel: CHANNEL, octets: hex(value), at_ms });
    }
  }

  // A session we have let go of must not speak into the next one's life.
  function close() {
    const old = session;
    session = null;
    writer = null;
    if (!old) return;
    try {
      old.close();
    } catch (_) {
      // It was never open.
    }
  }

  return {
    async stream() {
      if (!session) throw new Error("no session");
      return session.createBidirectionalStream();
    },
    perform(act) {
      if (act.act === "open_time") open(act);
      else if (act.act === "close_time") close();
      // A session that has just ended is told of by itself.
      else if (writer) writer.write(stamped(octets(act.octets), act.clock_at, nowMs())).catch(() => {});
    },
  };
}

/**
 * A question with the page's clock in it.
 * @param {Uint8Array} question @param {number} at @param {number} ms
 */
export function stamped(question, at, ms) {
  new DataView(question.buffer).setFloat64(at, ms);
  return question;
}

/** @param {string} hex */
export function octets(hex) {
  return Uint8Array.from(hex.match(/../g) || [], (pair) => parseInt(pair, 16));
}

/** @param {Uint8Array} bytes */
export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
