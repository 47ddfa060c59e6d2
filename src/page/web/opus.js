// Opus for pages whose browser lends them no decoder: WebAssembly of its own (src/codec). Fetched when the first chunk comes
// that needs it.

const CHANNELS = 2;
/** No packet is larger, and no more room is given. */
const PACKET_MAX = 3 * 1_275;

/** What makes decoders. @returns {Promise<() => Promise<import("./types").Opus>>} */
export async function fetchOpus() {
  const answer = await fetch("/page/opus.wasm");
  if (!answer.ok) throw new Error(`no opus.wasm: ${answer.status}`);
  const module = await WebAssembly.compile(await answer.arrayBuffer());
  return () => openOpus(module);
}

/** Decodes packets in the order they were made; throws over what is none. @param {WebAssembly.Module} module
 * @returns {Promise<import("./types").Opus>} */
export async function openOpus(module) {
  const instance = await WebAssembly.instantiate(module, {});
  const door = /** @type {import("./types").OpusExports} */ (instance.exports);
  return (packet) => {
    const length = Math.min(packet.length, PACKET_MAX);
    // First where, then in what: memory that grows is another buffer.
    const room = door.opus_input();
    new Uint8Array(door.memory.buffer, room, length).set(packet.subarray(0, length));
    const frames = packet.length > PACKET_MAX ? 0 : door.opus_decode(length);
    if (!frames) throw new Error("no packet of Opus");
    const at = door.opus_output();
    const samples = new Float32Array(door.memory.buffer, at, CHANNELS * frames);
    return Array.from({ length: CHANNELS }, (_, k) => Float32Array.from({ length: frames }, (__, n) => samples[CHANNELS * n + k]));
  };
}
