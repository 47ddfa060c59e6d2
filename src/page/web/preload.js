// Tracks by their hash, ahead of time: a download that broke goes on where it stopped, and what came is what the show means.
//
// The last part of a track's URL is the SHA-256 of its bytes, in hexadecimal. When to try again is the core's business.

/** @typedef {{ pieces: Uint8Array[], have: number }} Part */

/**
 * @param {object} world
 * @param {typeof fetch} world.fetch
 * @param {(bytes: Uint8Array) => Promise<string>} world.hash SHA-256, in hexadecimal
 * @returns {(url: string) => Promise<ArrayBuffer>}
 */
export function createPreload({ fetch, hash }) {
  /** @type {Map<string, Part>} what came of each URL before its download broke */
  const parts = new Map();

  /** @param {string} url */
  async function load(url) {
    const part = parts.get(url) || { pieces: [], have: 0 };
    parts.set(url, part);
    await fill(url, part);
    const whole = joined(part);
    // Right or wrong, nothing goes on behind it.
    parts.delete(url);
    const sha256 = url.split("/").pop();
    if (await hash(whole) !== sha256) throw new Error(`${url} has come with other bytes`);
    return /** @type {ArrayBuffer} */ (whole.buffer);
  }

  /** @param {string} url @param {Part} part */
  async function fill(url, part) {
    // A browser keeps no half of what it was to keep for ever.
    const answer = await fetch(url, part.have ? { headers: { range: `bytes=${part.have}-` }, cache: "no-store" } : {});
    if (!answer.ok) {
      parts.delete(url);
      throw new Error(`${answer.status}`);
    }
    // Whoever knows no ranges begins anew.
    if (answer.status !== 206) [part.pieces, part.have] = [[], 0];
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
  part.pieces.push(piece);
  part.have += piece.length;
}

/** @param {Part} part */
function joined({ pieces, have }) {
  const whole = new Uint8Array(have);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * The browser's own SHA-256, which it keeps from pages over plain HTTP; those fetch one.
 * @param {SubtleCrypto | undefined} subtle
 * @returns {(bytes: Uint8Array) => Promise<string>}
 */
export function createHash(subtle) {
  return async (bytes) => {
    if (!subtle) return (await import("/page/sha256.js")).sha256(bytes);
    const digest = await subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes));
    return Array.from(new Uint8Array(digest), (octet) => octet.toString(16).padStart(2, "0")).join("");
  };
}
