// Messages on a stream of the WebTransport session, a line each (SX-20). When to speak there is the core's business.

/**
 * @param {Promise<import("./types").ByteStream>} opening
 * @param {object} world
 * @param {() => number} world.nowMs
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @returns {import("./types").Carrier}
 */
export function createLines(opening, { nowMs, tell }) {
  const [encoder, decoder] = [new TextEncoder(), new TextDecoder()];
  /** @type {WritableStreamDefaultWriter<Uint8Array> | null} */
  let writer = null;
  /** @type {ReadableStreamDefaultReader<Uint8Array> | null} */
  let reader = null;
  let isOver = false;

  async function listen() {
    const { readable, writable } = await opening;
    [reader, writer] = [readable.getReader(), writable.getWriter()];
    if (isOver) return letGo();
    tell({ event: "opened" });
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      const at_ms = nowMs();
      if (done || isOver) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() || "";
      for (const text of lines) {
        if (!isOver) tell({ event: "heard", text, at_ms });
      }
    }
  }

  // One that we have let go of must not speak into the next one's life.
  function close() {
    isOver = true;
    letGo();
  }

  function letGo() {
    if (writer) writer.close().catch(() => {});
    if (reader) reader.cancel().catch(() => {});
  }

  // Not there, or not any more, and why is all the same to us.
  listen().catch(() => {}).then(() => {
    if (isOver) return;
    close();
    tell({ event: "closed" });
  });

  return {
    // A stream that is just ending says so when it is read.
    say: (text) => { if (writer && !isOver) writer.write(encoder.encode(`${text}\n`)).catch(() => {}); },
    close,
  };
}
