// Tracks by their hash, ahead of time: a download that broke goes on where it stopped, and what came is what the show means.
//
// The last part of a track's URL is the SHA-256 of its bytes, in hexadecimal. When to try again is the core's business.

/** What came lies at the beginning of `room`. @typedef {{ room: Uint8Array, have: number }} Part */

/**
 * @param {object} world
 * @param {typeof fetch} world.fetch
 * @param {(bytes: Uint8Array) => Promise<string>} world.hash SHA-256, in hexadecimal
 * @returns {(url: string, signal?: AbortSignal) => Promise<ArrayBuffer>} nothing is kept of what is called off
 */
export function createPreload({ fetch, hash }) {
  /** @type {Map<string, Part>} what came of each URL before its download broke */
  const parts = new Map();
  /** Once a cache has held other bytes, a box is asked. @type {RequestCache | undefined} */
  let cache;

  /** @param {string} url @param {AbortSignal} [signal] */
  async function load(url, signal) {
    const part = parts.get(url) || { room: new Uint8Array(0), have: 0 };
    parts.set(url, part);
    if (signal) signal.onabort = () => parts.delete(url);
    await fill(url, part, signal);
    const whole = part.have === part.room.length ? part.room : part.room.slice(0, part.have);
    // Right or wrong, nothing goes on behind it.
    parts.delete(url);
    const sha256 = url.split("/").pop();
    if (await hash(whole) !== sha256) {
      cache = "reload";
      throw new Error(`${url} has come with other bytes`);
    }
    return /** @type {ArrayBuffer} */ (whole.buffer);
  }

  /** @param {string} url @param {Part} part @param {AbortSignal} [signal] */
  async function fill(url, part, signal) {
    // A browser keeps no half of what it was to keep for ever.
    const rest = part.have ? /** @type {RequestInit} */ ({ headers: { range: `bytes=${part.have}-` }, cache: "no-store" }) : {};
    const answer = await fetch(url, { cache, ...rest, signal });
    if (!answer.ok) {
      parts.delete(url);
      throw new Error(`${answer.status}`);
    }
    // Whoever knows no ranges begins anew.
    if (answer.status !== 206) part.have = 0;
    // Room for all at once: joining an hour of sound at the end would take as much again.
    const size = Number(answer.headers && answer.headers.get("content-length"));
    if (size > 0) reserve(part, size);
    if (!answer.body) return add(part, new Uint8Array(await answer.arrayBuffer()));
    const reader = answer.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return undefined;
      add(part, value);
    }
  }

  return load;
}

/** @param {Part} part @param {Uint8Array} piece */
function add(part, piece) {
  if (part.have + piece.length > part.room.length) reserve(part, Math.max(piece.length, part.have));
  part.room.set(piece, part.have);
  part.have += piece.length;
}

/** Room for so many octets more. @param {Part} part @param {number} more */
function reserve(part, more) {
  if (part.room.length === part.have + more) return;
  const room = new Uint8Array(part.have + more);
  room.set(part.room.subarray(0, part.have));
  part.room = room;
}

/**
 * The browser's own SHA-256, which it keeps from pages over plain HTTP; those fetch one.
 * @param {SubtleCrypto | undefined} subtle @param {() => Promise<(bytes: Uint8Array) => string>} fetchSha256
 * @returns {(bytes: Uint8Array) => Promise<string>}
 */
export function createHash(subtle, fetchSha256) {
  return async (bytes) => {
    if (!subtle) return (await fetchSha256())(bytes);
    const digest = await subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes));
    return Array.from(new Uint8Array(digest), (octet) => octet.toString(16).padStart(2, "0")).join("");
  };
}
