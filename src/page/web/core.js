// The phone's core: WebAssembly behind a door of JSON texts (src/phone/door.rs).

/** @typedef {import("./types").Core} Core */
/** @typedef {import("./types").CoreExports} CoreExports */

/**
 * Begins a core.
 * @param {BufferSource} bytes core.wasm
 * @param {number} nowMs the page's monotonic clock
 * @param {import("./types").CoreStart} start
 * @returns {Promise<Core>}
 */
export async function beginCore(bytes, nowMs, start) {
  const { instance } = await WebAssembly.instantiate(bytes, {});
  const door = /** @type {CoreExports} */ (instance.exports);
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();

  /** @param {object} value */
  function put(value) {
    const text = encoder.encode(JSON.stringify(value));
    const at = door.phone_input(text.length);
    new Uint8Array(door.memory.buffer, at, text.length).set(text);
  }

  /** @param {number} said */
  function take(said) {
    if (!said) throw new Error("the core did not understand the page");
    const text = new Uint8Array(door.memory.buffer, door.phone_output(), door.phone_output_len());
    return JSON.parse(decoder.decode(text));
  }

  put(start);
  if (!door.phone_begin(nowMs)) throw new Error("the core did not begin");
  return {
    handle(nowMs, { event, ...of }) {
      put({ [event]: Object.keys(of).length ? of : null });
      return take(door.phone_handle(nowMs));
    },
    look: (nowMs) => take(door.phone_look(nowMs)),
    recorded(nowMs, rateHz, fromS, samples) {
      const at = door.phone_input(samples.byteLength);
      new Uint8Array(door.memory.buffer, at, samples.byteLength)
        .set(new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
      return take(door.phone_recorded(nowMs, rateHz, fromS));
    },
    chirp(rateHz) {
      door.phone_chirp(rateHz);
      const at = door.phone_output();
      return new Float32Array(door.memory.buffer.slice(at, at + door.phone_output_len()));
    },
    netMs: (nowMs) => door.phone_net_ms(nowMs),
  };
}
