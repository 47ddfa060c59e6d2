// A film whose frames bear their number as a bar code: made, put into a file, and read off the screen again.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clickShow, startBox } from "./helpers.js";

export const FRAMES_A_SECOND = 25;
export const SECONDS = 8;
const [WIDTH, HEIGHT, BITS] = [320, 180, 10];

/** How browsers name a codec, and how WebM does. */
const CODECS = { vp8: ["vp8", "V_VP8"], vp9: ["vp09.00.10.08", "V_VP9"], h264: ["avc1.42001f", ""] };

/** A box whose show has these films as tracks, each by its file's name in `video` with how it is made; `cues` are its own. */
export async function startCinema(browser, title, films, cues) {
  // Any page of localhost may encode.
  const studio = await startBox(clickShow);
  const page = await browser.newPage();
  await page.goto(`http://localhost:${studio.port}/healthz`);
  const made = new Map();
  for (const [file, how] of Object.entries(films)) made.set(file, await makeFilm(page, how));
  await page.close();
  await studio.stop();
  return startBox((folder) => {
    mkdirSync(join(folder, "video"), { recursive: true });
    made.forEach((film, file) => writeFileSync(join(folder, "video", file), film));
    const tracks = Object.keys(films).map((file) => `${file.split(".")[0]} = "video/${file}"`);
    writeFileSync(join(folder, "show.toml"), `
[show]
title = "${title}"

[tracks]
${tracks.join("\n")}

[[list]]
name = "main"
${cues}`);
    return folder;
  });
}

/** A WebM file, or of H.264 an MP4 file, encoded by the browser and put together here; its key frames large, if they are to be. */
export async function makeFilm(page, { codec = "vp8", keyEvery = 5, large = false, count = FRAMES_A_SECOND * SECONDS } = {}) {
  const size = large ? { width: 640, height: 360 } : { width: WIDTH, height: HEIGHT };
  const how = { rate: FRAMES_A_SECOND, count, ...size, bits: BITS, codec: CODECS[codec][0], keyEvery, large };
  const { frames, description } = await page.evaluate(encode, how);
  const whole = frames.map(({ data, isKey }) => ({ data: Buffer.from(data, "base64"), isKey }));
  return codec === "h264" ? mp4(whole, Buffer.from(description, "base64"), size) : webm(whole, CODECS[codec][1]);
}

/** In the page: every frame's number as bars, the lowest bit first, and behind them their opposites; between them noise, if
 * the frames are to be large. */
async function encode({ rate, count, width, height, bits, codec, keyEvery, large }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const frames = [];
  const base64 = (octets) => {
    let text = "";
    octets.forEach((octet) => { text += String.fromCharCode(octet); });
    return btoa(text);
  };
  let description = "";
  let broken = null;
  const encoder = new VideoEncoder({
    output(chunk, { decoderConfig } = {}) {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      if (decoderConfig && decoderConfig.description) description = base64(new Uint8Array(decoderConfig.description));
      frames.push({ data: base64(data), isKey: chunk.type === "key" });
    },
    error(error) { broken = error; },
  });
  const avc = codec.startsWith("avc1") ? { avc: { format: "avc" } } : {};
  encoder.configure({ codec, width, height, bitrate: large ? 8_000_000 : 1_000_000, framerate: rate, ...avc });
  for (let n = 0; n < count; n += 1) {
    for (let bit = 0; bit < bits; bit += 1) {
      const isOn = (n >> bit) % 2 === 1;
      context.fillStyle = isOn ? "#fff" : "#000";
      context.fillRect((bit * width) / bits, 0, width / bits, height / 2);
      context.fillStyle = isOn ? "#000" : "#fff";
      context.fillRect((bit * width) / bits, height / 2, width / bits, height / 2);
    }
    if (large) {
      const noise = context.createImageData(width, height / 4);
      const words = new Uint32Array(noise.data.buffer);
      words.forEach((_, k) => { words[k] = 0xff00_0000 | (Math.random() * 0xff_ffff); });
      context.putImageData(noise, 0, (height * 3) / 8);
    }
    const frame = new VideoFrame(canvas, { timestamp: (n * 1e6) / rate, duration: 1e6 / rate });
    encoder.encode(frame, { keyFrame: n % keyEvery === 0 });
    frame.close();
  }
  await encoder.flush();
  if (broken) throw broken;
  return { frames, description };
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
function webm(frames, codec) {
  const durationMs = Buffer.alloc(8);
  durationMs.writeDoubleBE((frames.length * 1000) / FRAMES_A_SECOND);
  const head = element("1a45dfa3", element("4282", text("webm")), element("4287", uint(4)), element("4285", uint(2)));
  const info = element("1549a966", element("2ad7b1", uint(1_000_000)), element("4489", durationMs),
    element("4d80", text("downbeat")), element("5741", text("downbeat")));
  const video = element("e0", element("b0", uint(WIDTH)), element("ba", uint(HEIGHT)));
  const tracks = element("1654ae6b", element("ae", element("d7", uint(1)), element("73c5", uint(1)), element("83", uint(1)),
    element("86", text(codec)), video));
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

/** A box of MP4 (ISO/IEC 14496-12, 4.2). */
function box(kind, ...parts) {
  const inside = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(inside.length + 8);
  head.write(kind, 4, "latin1");
  return Buffer.concat([head, inside]);
}

/** Numbers of 32 bits; a text is what it is. */
const words = (...all) => Buffer.concat(all.map((it) => {
  if (typeof it === "string") return text(it);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(it);
  return bytes;
}));

/** All frames in one chunk, and the tables behind them. */
function mp4(frames, config, { width, height }) {
  const head = box("ftyp", words("isom", 0, "isom", "avc1"));
  const scale = 1000;
  const tick = scale / FRAMES_A_SECOND;
  const length = frames.length * tick;
  const unity = words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000);
  const entry = Buffer.alloc(78);
  entry.writeUInt16BE(1, 6);
  entry.writeUInt16BE(width, 24);
  entry.writeUInt16BE(height, 26);
  entry.writeUInt32BE(0x48_0000, 28);
  entry.writeUInt32BE(0x48_0000, 32);
  entry.writeUInt16BE(1, 40);
  entry.writeUInt16BE(24, 74);
  entry.writeInt16BE(-1, 76);
  const keys = frames.flatMap(({ isKey }, k) => (isKey ? [k + 1] : []));
  const tables = box("stbl",
    box("stsd", words(0, 1), box("avc1", entry, box("avcC", config))),
    box("stts", words(0, 1, frames.length, tick)),
    box("stss", words(0, keys.length, ...keys)),
    box("stsc", words(0, 1, 1, frames.length, 1)),
    box("stsz", words(0, 0, frames.length, ...frames.map(({ data }) => data.length))),
    box("stco", words(0, 1, head.length + 8)));
  const media = box("mdia",
    box("mdhd", words(0, 0, 0, scale, length, 0x55c4_0000)),
    box("hdlr", words(0, 0, "vide", 0, 0, 0), Buffer.from("video\0")),
    box("minf", box("vmhd", words(1, 0, 0)), box("dinf", box("dref", words(0, 1), box("url ", words(1)))), tables));
  const track = box("trak", box("tkhd", words(3, 0, 0, 1, 0, length, 0, 0, 0, 0), unity, words(width << 16, height << 16)), media);
  const movie = box("moov",
    box("mvhd", words(0, 0, 0, scale, length, 0x10000, 0x100_0000, 0, 0), unity, words(0, 0, 0, 0, 0, 0, 2)), track);
  return Buffer.concat([head, box("mdat", ...frames.map(({ data }) => data)), movie]);
}

/**
 * In the page: reads the number off the canvas of live pictures whenever it is another, `{ number, atMs }`, into `window.film`.
 * What stands on it when a frame of the page begins is what is seen from then on. And into `window.parts` what the box said
 * of each piece.
 */
export function readLive(bits) {
  window.film = [];
  window.parts = [];
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [bits * 8, 8];
  const context = copy.getContext("2d", { willReadFrequently: true });
  let last = -1;
  const look = (frameMs) => {
    requestAnimationFrame(look);
    const canvas = document.querySelector(".films canvas");
    if (!canvas || canvas.hidden || !canvas.width) return;
    context.drawImage(canvas, 0, 0, copy.width, copy.height);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    const light = (bit, row) => data[4 * (row * copy.width + bit * 8 + 4)];
    let number = 0;
    for (let bit = 0; bit < bits; bit += 1) {
      const [upper, lower] = [light(bit, 1), light(bit, 6)];
      if (Math.abs(upper - lower) < 100) return;
      if (upper > lower) number += 2 ** bit;
    }
    if (number === last) return;
    last = number;
    window.film.push({ number, atMs: window.downbeat.netMs() + frameMs - performance.now() });
  };
  requestAnimationFrame(look);
  const create = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function createDataChannel(label, how) {
    const channel = create.call(this, label, how);
    if (label === "media") {
      channel.addEventListener("message", ({ data }) => {
        if (typeof data !== "string" || !/"codec":"(h264|vp9)"/.test(data.slice(0, 800))) return;
        const { type, chunk_index, timestamp, is_keyframe, parts_left } = JSON.parse(data);
        if (type === "media_data") window.parts.push({ index: chunk_index, seenMs: timestamp * 1000, isKey: is_keyframe, left: parts_left || 0, octets: data.length });
      });
    }
    return channel;
  };
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
