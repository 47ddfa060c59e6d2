// A film whose frames bear their number as a bar code: made, put into a file, and read off the screen again.

export const FRAMES_A_SECOND = 25;
export const SECONDS = 8;
const [WIDTH, HEIGHT, BITS] = [320, 180, 10];

/** A WebM file, encoded by the browser and put together here. */
export async function makeFilm(page) {
  const frames = await page.evaluate(encode, { rate: FRAMES_A_SECOND, count: FRAMES_A_SECOND * SECONDS, width: WIDTH, height: HEIGHT, bits: BITS });
  return webm(frames.map(({ data, isKey }) => ({ data: Buffer.from(data, "base64"), isKey })));
}

/** In the page: every frame's number as bars, the lowest bit first, and behind them their opposites. */
async function encode({ rate, count, width, height, bits }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const frames = [];
  let broken = null;
  const encoder = new VideoEncoder({
    output(chunk) {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      frames.push({ data: btoa(String.fromCharCode(...data)), isKey: chunk.type === "key" });
    },
    error(error) { broken = error; },
  });
  encoder.configure({ codec: "vp8", width, height, bitrate: 1_000_000, framerate: rate });
  for (let n = 0; n < count; n += 1) {
    for (let bit = 0; bit < bits; bit += 1) {
      const isOn = (n >> bit) % 2 === 1;
      context.fillStyle = isOn ? "#fff" : "#000";
      context.fillRect((bit * width) / bits, 0, width / bits, height / 2);
      context.fillStyle = isOn ? "#000" : "#fff";
      context.fillRect((bit * width) / bits, height / 2, width / bits, height / 2);
    }
    const frame = new VideoFrame(canvas, { timestamp: (n * 1e6) / rate, duration: 1e6 / rate });
    encoder.encode(frame, { keyFrame: n % 5 === 0 });
    frame.close();
  }
  await encoder.flush();
  if (broken) throw broken;
  return frames;
}

/** EBML: an id, a length of eight octets, and what it holds (RFC 8794). */
function element(id, ...parts) {
  const inside = Buffer.concat(parts);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(inside.length) | (1n << 56n));
  return Buffer.concat([Buffer.from(id, "hex"), length, inside]);
}

const uint = (value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};

const text = (words) => Buffer.from(words, "latin1");

/** A cluster a second, each with its place in the index, so that a browser finds every second. */
function webm(frames) {
  const durationMs = Buffer.alloc(8);
  durationMs.writeDoubleBE((frames.length * 1000) / FRAMES_A_SECOND);
  const head = element("1a45dfa3", element("4282", text("webm")), element("4287", uint(4)), element("4285", uint(2)));
  const info = element("1549a966", element("2ad7b1", uint(1_000_000)), element("4489", durationMs),
    element("4d80", text("downbeat")), element("5741", text("downbeat")));
  const video = element("e0", element("b0", uint(WIDTH)), element("ba", uint(HEIGHT)));
  const tracks = element("1654ae6b", element("ae", element("d7", uint(1)), element("73c5", uint(1)), element("83", uint(1)),
    element("86", text("V_VP8")), video));
  const clusters = Array.from({ length: Math.ceil(frames.length / FRAMES_A_SECOND) }, (_, second) => {
    const blocks = frames.slice(second * FRAMES_A_SECOND, (second + 1) * FRAMES_A_SECOND).map(({ data, isKey }, k) => {
      const place = Buffer.alloc(4);
      place[0] = 0x81;
      place.writeInt16BE((k * 1000) / FRAMES_A_SECOND, 1);
      place[3] = isKey ? 0x80 : 0;
      return element("a3", place, data);
    });
    return element("1f43b675", element("e7", uint(second * 1000)), ...blocks);
  });
  // All lengths are of eight octets, so that the index is as long whatever it says.
  const index = (from) => {
    let at = from;
    const points = clusters.map((cluster, second) => {
      const point = element("bb", element("b3", uint(second * 1000)), element("b7", element("f7", uint(1)), element("f1", uint(at))));
      at += cluster.length;
      return point;
    });
    return element("1c53bb6b", ...points);
  };
  const before = info.length + tracks.length;
  const cues = index(before + index(0).length);
  return Buffer.concat([head, element("18538067", info, tracks, cues, ...clusters)]);
}

/** In the page: reads each frame's number as it is shown, `{ number, atMs }`, into `window.film`. */
export function readFilm(bits) {
  window.film = [];
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bits * 8, 8];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const attend = (video) => video.requestVideoFrameCallback(function look(_, { expectedDisplayTime }) {
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    const light = (bit, row) => data[4 * (row * canvas.width + bit * 8 + 4)];
    let number = 0;
    let isSure = true;
    for (let bit = 0; bit < bits; bit += 1) {
      const [upper, lower] = [light(bit, 1), light(bit, 6)];
      isSure = isSure && Math.abs(upper - lower) > 100;
      if (upper > lower) number += 2 ** bit;
    }
    if (isSure && !video.hidden) window.film.push({ number, atMs: window.downbeat.netMs() + expectedDisplayTime - performance.now() });
    video.requestVideoFrameCallback(look);
  });
  new MutationObserver(() => {
    const video = document.querySelector("#films video");
    if (!video || window.attended === video) return;
    window.attended = video;
    attend(video);
  }).observe(document, { childList: true, subtree: true });
}

export { BITS };
