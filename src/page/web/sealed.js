// Opens live sound and pictures that come sealed (`wire::sealed`), with the key that the page's token carries. Fetched when there is
// such a token, or when the first sealed piece comes.
//
// Who holds no key hears nothing and is told why. What was changed, moved or said before is left out and counted; so is
// what comes unsealed though the token says that it is sealed, since whoever can say something else in the box's place
// would say that.

/** @typedef {import("./types").LiveHeard} LiveHeard */
/** @typedef {import("./types").SealTrouble} SealTrouble */
/** @typedef {{ head: string, octets: Uint8Array<ArrayBuffer>, key: string, start: string, sequence: number, timestamp: number,
 *   isPicture: boolean }} Piece */

const TYPE = '{"type":"media_sealed",';
const OPEN_TYPE = '{"type":"media_data",';
const DATA = ',"data":"';
const TAIL = '"}';
const INFO = "downbeat live sound 1";
const TAG_OCTETS = 16;
/** Sound that is older was heard, or is a recording of another hour; films have a key frame more often. */
const [SOUND_AGE_MAX_S, PICTURES_AGE_MAX_S] = [10, 60];
const STREAMS_MAX = 8;
/** What will be the same with the next piece. */
const LASTS = ["insecure", "no_token", "other_key"];

/**
 * @param {object} world
 * @param {boolean} world.isSecure whether the page may have keys at all
 * @param {SubtleCrypto | undefined} world.subtle there on secure pages alone
 * @param {string | undefined} world.token
 * @param {() => number} world.netS network time
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @param {(why: SealTrouble | null) => void} world.say why nothing is heard or seen; null once something is
 * @returns {import("./types").Seal}
 */
export function createSeal({ isSecure, subtle, token, netS, tell, say }) {
  const secret = token ? claimOf(token) : null;
  const ours = secret && subtle ? subtle.digest("SHA-256", secret).then(hex8) : null;
  /** @type {Map<string, number>} the last count of sound, and of pictures, of each start of the box */
  const streams = new Map();
  /** @type {{ start: string, key: Promise<CryptoKey> } | null} */
  let drawn = null;
  /** @type {SealTrouble | null | undefined} */
  let said;
  let before = Promise.resolve();

  /** @param {SubtleCrypto} subtle @param {Uint8Array<ArrayBuffer>} secret @param {string} start */
  async function draw(subtle, secret, start) {
    const whole = await subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
    const how = { name: "HKDF", hash: "SHA-256", salt: octetsOf(start.replace(/-/g, "")), info: new TextEncoder().encode(INFO) };
    return subtle.deriveKey(how, whole, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
  }

  /** The piece as `media_data`, or why not. @param {string} text @returns {Promise<string>} */
  async function open(text) {
    if (!text.startsWith(TYPE)) throw secret ? "unsealed" : null;
    if (!isSecure || !subtle) throw "insecure";
    if (!token) throw "no_token";
    const piece = read(text);
    if (!secret || !ours || piece.key !== await ours) throw "other_key";
    if (!drawn || drawn.start !== piece.start) drawn = { start: piece.start, key: draw(subtle, secret, piece.start) };
    const iv = new DataView(new ArrayBuffer(12));
    iv.setUint32(4, Math.floor(piece.sequence / 2 ** 32));
    iv.setUint32(8, piece.sequence % 2 ** 32);
    const how = { name: "AES-GCM", iv: iv.buffer, additionalData: new TextEncoder().encode(piece.head) };
    const plain = await subtle.decrypt(how, await drawn.key, piece.octets).catch(() => { throw "changed"; });
    if (!admit(piece)) throw "replayed";
    const octets = Array.from(new Uint8Array(plain), (it) => String.fromCharCode(it));
    return OPEN_TYPE + piece.head.slice(TYPE.length) + DATA + btoa(octets.join("")) + TAIL;
  }

  /** Pieces of one kind come in order, though not all of them. @param {Piece} piece */
  function admit({ start, sequence, timestamp, isPicture }) {
    const stream = `${start} ${isPicture}`;
    const last = streams.get(stream);
    const ageMaxS = isPicture ? PICTURES_AGE_MAX_S : SOUND_AGE_MAX_S;
    if (netS() - timestamp > ageMaxS || (last !== undefined && sequence <= last)) return false;
    streams.set(stream, sequence);
    if (streams.size > STREAMS_MAX) streams.delete(streams.keys().next().value || "");
    return true;
  }

  /** @param {LiveHeard} event */
  async function hear(event) {
    /** @type {SealTrouble | null} */
    let why = null;
    try {
      tell({ ...event, text: await open(event.text) });
    } catch (trouble) {
      // Whatever else is said on the channel is passed on.
      if (trouble === null) return tell(event);
      why = typeof trouble === "string" ? /** @type {SealTrouble} */ (trouble) : "changed";
      tell({ event: "live_refused", why });
    }
    if (why !== said) say(why);
    said = why;
  }

  return {
    hear(event) {
      before = before.then(() => hear(event)).catch(() => {});
      return before;
    },
  };
}

/** Says in the page why nothing live is heard or seen. @param {Document} document @param {import("./types").Words} words */
export function createSealLine(document, words) {
  const line = document.createElement("p");
  line.id = "sealed";
  line.setAttribute("role", "status");
  const foot = document.getElementById("foot");
  if (foot) foot.prepend(line);
  return /** @param {SealTrouble | null} why */ (why) => {
    line.hidden = why === null;
    if (why !== null) line.textContent = words.say(`sealed_${LASTS.includes(why) ? why : "changed"}`);
  };
}

/** @param {string} text @returns {Piece} */
function read(text) {
  const at = text.lastIndexOf(DATA);
  if (at < 0 || !text.endsWith(TAIL)) throw "changed";
  const { header: { sequence }, key, start, timestamp, codec } = JSON.parse(text);
  const octets = base64(text.slice(at + DATA.length, -TAIL.length));
  if (octets.length <= TAG_OCTETS || !Number.isSafeInteger(sequence) || sequence < 0) throw "changed";
  return { head: text.slice(0, at), octets, key, start, sequence, timestamp, isPicture: codec === "h264" || codec === "vp9" };
}

/** The show's key, as the token says it; null where it says none. @param {string} token */
function claimOf(token) {
  try {
    const { seal } = JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
    const secret = base64(seal.replace(/-/g, "+").replace(/_/g, "/"));
    return secret.length === 32 ? secret : null;
  } catch (_) {
    return null;
  }
}

/** @param {string} text */
function base64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** @param {string} text hexadecimal */
function octetsOf(text) {
  return Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
}

/** @param {ArrayBuffer} octets */
function hex8(octets) {
  return Array.from(new Uint8Array(octets, 0, 8), (it) => it.toString(16).padStart(2, "0")).join("");
}
