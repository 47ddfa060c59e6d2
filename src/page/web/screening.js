// Live pictures: pieces of `media_data` become pictures on a canvas, as `pictures.wasm` says (src/phone/screening.rs).
// Fetched when the first piece comes.

/** @typedef {{ data: Uint8Array, atUs: number, isKey: boolean, codec: string }} Unit */

const [KEPT, WHOLE, ANEW, DROPPED_SHIFT] = [1, 2, 4, 3];
const [DRAWS, PAST_SHIFT] = [1, 1];
/** The box hears of them every five seconds. */
const TELL_EVERY_MS = 1000;

/**
 * @param {object} world
 * @param {Document} world.document
 * @param {import("./types").PicturesDoor} world.door
 * @param {(atMs: number) => number} world.netMs
 * @param {() => number} world.nowMs
 * @param {typeof VideoDecoder | undefined} world.VideoDecoder
 * @param {typeof EncodedVideoChunk | undefined} world.EncodedVideoChunk
 * @param {(act: (atMs: number) => void) => void} world.nextFrame
 * @param {(event: import("./types").PhoneEvent) => void} world.tell
 * @param {string[]} world.codecs what the browser can show
 * @param {string} world.excuse what to say where it cannot
 * @returns {import("./types").Screening}
 */
export function createScreening({ document, door, netMs, nowMs, VideoDecoder, EncodedVideoChunk, nextFrame, tell, codecs, excuse }) {
  const wall = document.createElement("div");
  wall.className = "films";
  const canvas = document.createElement("canvas");
  canvas.hidden = true;
  wall.append(canvas);
  document.body.prepend(wall);
  const paint = canvas.getContext("2d");
  /** @type {VideoDecoder | null} */
  let decoder = null;
  let configured = "";
  /** @type {Uint8Array[]} of a picture that is not whole yet */
  let parts = [];
  let isKey = false;
  /** @type {Unit[]} whole, and not decoded yet */
  let units = [];
  /** @type {VideoFrame[]} decoded, and not past */
  let frames = [];
  let isRunning = false;
  let toldMs = -Infinity;

  /** @param {string} text `media_data` of pictures, or `media_untaken` */
  function hear(text) {
    const said = JSON.parse(text);
    if (said.type === "media_untaken") return codecs.includes(said.codec) ? undefined : excuseUs();
    const { chunk_index, timestamp, duration, codec, data, is_keyframe, parts_left } = said;
    const octets = 0.75 * data.length;
    const verdict = door.live_piece(netMs(nowMs()), chunk_index, timestamp * 1000, duration, parts_left || 0, Boolean(is_keyframe), octets);
    if (verdict & ANEW) forget();
    if (!(verdict & (KEPT | WHOLE)) || is_keyframe) parts = [];
    if (!(verdict & (KEPT | WHOLE))) return undefined;
    isKey = parts.length === 0 ? Boolean(is_keyframe) : isKey;
    parts.push(Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)));
    if (!(verdict & WHOLE)) return undefined;
    units.push({ data: joined(parts), atUs: Math.round(timestamp * 1e6), isKey, codec });
    parts = [];
    units.splice(0, verdict >> DROPPED_SHIFT);
    run();
    return undefined;
  }

  function run() {
    if (isRunning) return;
    isRunning = true;
    nextFrame(draw);
  }

  /** @param {number} frameMs */
  function draw(frameMs) {
    isRunning = false;
    while (units.length && door.live_decodes(netMs(frameMs))) decode(/** @type {Unit} */ (units.shift()));
    const drawn = door.live_drawn(netMs(frameMs));
    const wasSeen = !canvas.hidden;
    if (drawn < 0) hide();
    else pass(drawn >> PAST_SHIFT, (drawn & DRAWS) !== 0);
    const isSeen = !canvas.hidden;
    if (drawn >= 0 && isSeen === wasSeen && frameMs < toldMs + TELL_EVERY_MS) return;
    toldMs = frameMs;
    tell({ event: "pictures", seen: isSeen, counts: counts() });
  }

  /** @param {number} past so many of the decoded ones are @param {boolean} draws whether the last of these is seen now */
  function pass(past, draws) {
    const gone = frames.splice(0, past);
    const last = draws && gone.pop();
    gone.forEach((frame) => frame.close());
    if (last) show(last);
    run();
  }

  /** @param {VideoFrame} frame */
  function show(frame) {
    const [width, height] = [frame.displayWidth, frame.displayHeight];
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    if (paint) paint.drawImage(frame, 0, 0, width, height);
    frame.close();
    canvas.hidden = false;
    wall.className = "films lit";
  }

  function hide() {
    canvas.hidden = true;
    wall.className = "films";
    forget();
    if (decoder && decoder.state !== "closed") decoder.close();
    [decoder, configured] = [null, ""];
  }

  /** @param {Unit} unit */
  function decode({ data, atUs, isKey: begins, codec }) {
    try {
      if (begins) prepare(codecOf(codec, data));
      if (decoder && EncodedVideoChunk) decoder.decode(new EncodedVideoChunk({ type: begins ? "key" : "delta", timestamp: atUs, data }));
    } catch (_) {
      broken();
    }
  }

  /** @param {string} codec */
  function prepare(codec) {
    if (decoder && configured === codec) return;
    if (!VideoDecoder) throw new Error("this browser has none");
    if (!decoder) {
      const fresh = new VideoDecoder({
        output: (frame) => {
          if (fresh !== decoder) return frame.close();
          frames.push(frame);
          return door.live_decoded(frame.timestamp / 1000);
        },
        error: () => { if (fresh === decoder) broken(); },
      });
      decoder = fresh;
    }
    decoder.configure({ codec });
    configured = codec;
  }

  function broken() {
    if (decoder && decoder.state !== "closed") decoder.close();
    [decoder, configured, units] = [null, "", []];
    door.live_broken();
  }

  /** What waits is of another film, or of none. */
  function forget() {
    frames.forEach((frame) => frame.close());
    [parts, units, frames] = [[], [], []];
    // What it has in hand would come out among what follows.
    if (decoder && decoder.state === "configured") decoder.reset();
    configured = "";
  }

  function excuseUs() {
    const words = document.createElement("p");
    words.className = "excuse";
    words.textContent = excuse;
    wall.append(words);
  }

  function counts() {
    const [shown, held, skipped, late, lost] = [0, 1, 2, 3, 4].map((which) => door.live_count(which));
    return { shown, held, skipped, late, lost };
  }

  return { hear, counts };
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => {
    whole.set(part, at);
    return at + part.length;
  }, 0);
  return whole;
}

/**
 * As browsers name it, by what a key frame says of itself: H.264 by the first octets of its sequence parameter set (ITU-T
 * H.264, 7.3.2.1), VP9 by its profile (VP9, 6.2).
 * @param {string} codec @param {Uint8Array} key
 */
export function codecOf(codec, key) {
  if (codec === "vp9") return `vp09.0${((key[0] >> 5) & 1) | ((key[0] >> 3) & 2)}.10.08`;
  const hex = (/** @type {number} */ octet) => octet.toString(16).padStart(2, "0");
  const at = key.findIndex((octet, k) => octet === 1 && key[k - 1] === 0 && key[k - 2] === 0 && (key[k + 1] & 0x1f) === 7);
  if (at < 0) throw new Error("a key frame without its parameters");
  return `avc1.${[2, 3, 4].map((k) => hex(key[at + k])).join("")}`;
}
