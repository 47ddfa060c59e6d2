// A film whose frames bear their number as a bar code, and are heard now and then: made, put into a file, and read off the
// screen again.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { startBox, wav } from "./helpers.js";

export const FRAMES_A_SECOND = 25;
export const SECONDS = 4;
const [WIDTH, HEIGHT, BITS] = [320, 180, 10];
/** A film with sound bursts at every eighth frame, but not at its first: so it is told from one that is moved by as much. */
export const BURST_EVERY = 8;
/** How long after its frame a burst is as loud as `capture.js` listens for: AAC's rises within a window of 43 ms. */
export const RISES_MS = { opus: 0.1, aac: 6.9 };
const SOUND_HZ = 48_000;

/** How browsers name a codec, and how WebM does. */
const CODECS = { vp8: ["vp8", "V_VP8"], vp9: ["vp09.00.10.08", "V_VP9"], h264: ["avc1.42001f", ""] };

/** A box whose show has these films as tracks, each by its file's name in `video` with how it is made; `cues` are its own, and
 * `more` is under its `[show]`. */
export async function startCinema(browser, title, films, cues, more = "") {
  const made = await makeFilms(browser, films);
  return startBox((folder) => {
    mkdirSync(join(folder, "video"), { recursive: true });
    made.forEach((film, file) => writeFileSync(join(folder, "video", file), film));
    const tracks = Object.keys(films).map((file) => `${file.split(".")[0]} = "video/${file}"`);
    writeFileSync(join(folder, "show.toml"), `
[show]
title = "${title}"
${more}

[tracks]
${tracks.join("\n")}

[[list]]
name = "main"
${cues}`);
    return folder;
  });
}

/** What was made before, by how it was. */
const reels = new Map();

/** Each film's octets by its file's name. */
async function makeFilms(browser, films) {
  // Any page of localhost may encode.
  const studio = http.createServer((_, answer) => { answer.setHeader("content-type", "text/html"); answer.end("<!doctype html>"); });
  await new Promise((done) => { studio.listen(0, "localhost", done); });
  const page = await browser.newPage();
  await page.goto(`http://localhost:${studio.address().port}/`);
  const made = new Map();
  for (const [file, how] of Object.entries(films)) {
    const key = JSON.stringify(how);
    if (!reels.has(key)) reels.set(key, await makeFilm(page, how));
    made.set(file, reels.get(key));
  }
  await page.close();
  studio.close();
  return made;
}

/** A WebM file, or of H.264 an MP4 file, encoded by the browser and put together here; its key frames large, if they are to
 * be; with its `sound` in Opus, AAC or MP3. */
export async function makeFilm(page, how = {}) {
  const { codec = "vp8", keyEvery = 5, large = false, count = FRAMES_A_SECOND * SECONDS, sound, burstEvery = BURST_EVERY } = how;
  const size = large ? { width: 640, height: 360 } : { width: WIDTH, height: HEIGHT };
  const { frames, description } = await page.evaluate(encode, {
    rate: FRAMES_A_SECOND, count, ...size, bits: BITS, codec: CODECS[codec][0], keyEvery, large,
  });
  const whole = frames.map(({ data, isKey }) => ({ data: Buffer.from(data, "base64"), isKey }));
  const burstsS = Array.from({ length: Math.ceil(count / burstEvery) }, (_, k) => (k * burstEvery) / FRAMES_A_SECOND).slice(1);
  const coded = { opus: (...of) => opus(page, ...of), aac, mp3 };
  const heard = sound ? await coded[sound](count / FRAMES_A_SECOND, burstsS) : how.heard;
  return codec === "h264" ? mp4(whole, Buffer.from(description, "base64"), size, heard) : webm(whole, CODECS[codec][1], heard);
}

/** Bursts of 8 ms at 997 Hz, encoded by the browser: packets of 20 ms, and what its decoder has to know. */
async function opus(page, seconds, burstsS) {
  const { packets, head } = await page.evaluate(encodeOpus, { seconds, burstsS, hz: SOUND_HZ });
  return { packets: packets.map((it) => Buffer.from(it, "base64")), head: Buffer.from(head, "base64") };
}

/** In the page. */
async function encodeOpus({ seconds, burstsS, hz }) {
  const base64 = (octets) => btoa(Array.from(octets, (it) => String.fromCharCode(it)).join(""));
  const packets = [];
  let head = "";
  let broken = null;
  const encoder = new AudioEncoder({
    output(chunk, { decoderConfig } = {}) {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      packets.push(base64(data));
      if (decoderConfig && decoderConfig.description) head = base64(new Uint8Array(decoderConfig.description));
    },
    error(error) { broken = error; },
  });
  encoder.configure({ codec: "opus", sampleRate: hz, numberOfChannels: 1, bitrate: 96_000 });
  const samples = new Float32Array(seconds * hz);
  for (const fromS of burstsS) {
    const from = Math.round(fromS * hz);
    for (let n = 0; n < 0.008 * hz; n += 1) samples[from + n] = 0.9 * Math.sin((2 * Math.PI * 997 * n) / hz);
  }
  const frames = hz / 50;
  for (let at = 0; at < samples.length; at += frames) {
    const data = new Float32Array(frames);
    data.set(samples.subarray(at, at + frames));
    const piece = new AudioData({ format: "f32", sampleRate: hz, numberOfFrames: frames, numberOfChannels: 1, timestamp: (at * 1e6) / hz, data });
    encoder.encode(piece);
    piece.close();
  }
  await encoder.flush();
  if (broken) throw broken;
  return { packets, head };
}

const AAC_FRAMES = 1024;

/**
 * The same in AAC-LC, which no free browser encodes, written bit by bit (ISO/IEC 14496-3, 4.4.2): every packet is silent, but
 * for those with one line of the spectrum, 996 Hz. A burst rises from the first sample of its packet on, and falls in the next
 * one. The first packet is before the beginning, as encoders have it.
 */
function aac(seconds, burstsS) {
  const loud = new Set(burstsS.map((atS) => 1 + Math.round((atS * SOUND_HZ) / AAC_FRAMES)));
  const length = 1 + Math.ceil((seconds * SOUND_HZ) / AAC_FRAMES);
  return { packets: Array.from({ length }, (_, k) => aacPacket(loud.has(k))), config: Buffer.from([0x11, 0x88]) };
}

function aacPacket(isLoud) {
  // Ten bands of nothing, and one of codebook 1 as loud as the gain says: in it lines 40 to 43, of which the third is 1, and
  // 44 to 47. The gain is 0.84 of full scale.
  const [bands, lines] = isLoud ? ["001011 0 0000 01010 0001 00001 0", "10110 0"] : ["000000 0", ""];
  // A single channel, its gain, one long window, so many bands and no prediction; no pulses, noise shaping or gain control.
  const bits = `000 0000 ${(199).toString(2)} 0000 ${bands} 000 ${lines} 111`.replace(/ /g, "");
  const octets = bits.padEnd(Math.ceil(bits.length / 8) * 8, "0").match(/.{8}/g);
  return Buffer.from(octets.map((it) => parseInt(it, 2)));
}

/** A packet of 128 kbit/s at 48 kHz, with nothing in it that is another's, and what the encoder adds before. */
const MP3 = { frames: 1152, octets: 384, before: 1105 };

/** The same bursts by LAME, without the packet that says what is not sound. */
function mp3(seconds, burstsS) {
  const isLoud = (n) => burstsS.some((fromS) => n >= fromS * SOUND_HZ && n < (fromS + 0.008) * SOUND_HZ);
  const sample = (n) => (isLoud(n) ? Math.round(0.9 * 32_767 * Math.sin((2 * Math.PI * 997 * n) / SOUND_HZ)) : 0);
  const stream = execFileSync("lame", ["--quiet", "-t", "--nores", "-b", "128", "-", "-"], { input: wav(SOUND_HZ, seconds * SOUND_HZ, sample) });
  const length = Math.floor(stream.length / MP3.octets);
  return { packets: Array.from({ length }, (_, k) => stream.subarray(k * MP3.octets, (k + 1) * MP3.octets)), ...MP3 };
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

/** A cluster a second, each with its place in the index, so that a browser finds every second. Sound is Opus in packets of
 * 20 ms, unless it says its `codec` and the times of its packets. */
function webm(frames, codec, sound) {
  const durationMs = Buffer.alloc(8);
  durationMs.writeDoubleBE((frames.length * 1000) / FRAMES_A_SECOND);
  const head = element("1a45dfa3", element("4282", text("webm")), element("4287", uint(4)), element("4285", uint(2)));
  const info = element("1549a966", element("2ad7b1", uint(1_000_000)), element("4489", durationMs),
    element("4d80", text("downbeat")), element("5741", text("downbeat")));
  const video = element("e0", element("b0", uint(WIDTH)), element("ba", uint(HEIGHT)));
  const tracks = element("1654ae6b", element("ae", element("d7", uint(1)), element("73c5", uint(1)), element("83", uint(1)),
    element("86", text(codec)), video), ...(sound ? [soundTrack(sound)] : []));
  const blocks = [
    ...frames.map(({ data, isKey }, k) => ({ track: 1, atMs: (k * 1000) / FRAMES_A_SECOND, isKey, data })),
    ...(sound ? sound.packets : []).map((data, k) => ({ track: 2, atMs: sound.timesMs ? sound.timesMs[k] : k * 20, isKey: true, data })),
  ].sort((a, b) => a.atMs - b.atMs);
  const clusters = Array.from({ length: Math.ceil(frames.length / FRAMES_A_SECOND) }, (_, second) => {
    const within = blocks.filter(({ atMs }) => Math.floor(atMs / 1000) === second).map(({ track, atMs, isKey, data }) => {
      const place = Buffer.alloc(4);
      place[0] = 0x80 | track;
      place.writeInt16BE(Math.round(atMs - second * 1000), 1);
      place[3] = isKey ? 0x80 : 0;
      return element("a3", place, data);
    });
    return element("1f43b675", element("e7", uint(second * 1000)), ...within);
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

/** Opus comes out of its decoder later than its time, by what its head says at octets 10 and 11 (RFC 7845, 5.1). */
function soundTrack({ head, codec = "A_OPUS", hz = SOUND_HZ }) {
  const rate = Buffer.alloc(8);
  rate.writeDoubleBE(hz);
  const delay = codec === "A_OPUS" ? [element("56aa", uint(Math.round((head.readUInt16LE(10) * 1e9) / SOUND_HZ))), element("56bb", uint(80_000_000))] : [];
  return element("ae", element("d7", uint(2)), element("73c5", uint(2)), element("83", uint(2)), element("86", text(codec)),
    element("63a2", head), ...delay, element("e1", element("b5", rate), element("9f", uint(1))));
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

/** All frames in one chunk, the sound in another, and the tables behind them. */
function mp4(frames, config, { width, height }, sound) {
  const head = box("ftyp", words("isom", 0, "isom", "avc1"));
  const scale = 1000;
  const tick = scale / FRAMES_A_SECOND;
  const length = frames.length * tick;
  const unity = words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000);
  const data = frames.map((frame) => frame.data);
  const chunkAt = head.length + 8;
  const soundAt = chunkAt + data.reduce((sum, it) => sum + it.length, 0);
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
    box("stsz", words(0, 0, frames.length, ...data.map((it) => it.length))),
    box("stco", words(0, 1, chunkAt)));
  const media = box("mdia",
    box("mdhd", words(0, 0, 0, scale, length, 0x55c4_0000)),
    box("hdlr", words(0, 0, "vide", 0, 0, 0), Buffer.from("video\0")),
    box("minf", box("vmhd", words(1, 0, 0)), box("dinf", box("dref", words(0, 1), box("url ", words(1)))), tables));
  const track = box("trak", box("tkhd", words(3, 0, 0, 1, 0, length, 0, 0, 0, 0), unity, words(width << 16, height << 16)), media);
  const movie = box("moov",
    box("mvhd", words(0, 0, 0, scale, length, 0x10000, 0x100_0000, 0, 0), unity, words(0, 0, 0, 0, 0, 0, 3)), track,
    ...(sound ? [soundBox(sound, { at: soundAt, length, unity })] : []));
  return Buffer.concat([head, box("mdat", ...data, ...(sound ? sound.packets : [])), movie]);
}

/** A track of AAC, MP3 or Opus, with an edit list that leaves out what is before its beginning. */
function soundBox({ packets, config, head, frames = AAC_FRAMES, before = AAC_FRAMES }, { at, length, unity }) {
  if (head) [frames, before] = [SOUND_HZ / 50, head.readUInt16LE(10)];
  const entry = Buffer.alloc(28);
  entry.writeUInt16BE(1, 6);
  entry.writeUInt16BE(1, 16);
  entry.writeUInt16BE(16, 18);
  entry.writeUInt32BE(SOUND_HZ * 0x10000, 24);
  const tables = box("stbl",
    box("stsd", words(0, 1), head ? box("Opus", entry, dOps(head)) : box("mp4a", entry, esds(config))),
    box("stts", words(0, 1, packets.length, frames)),
    box("stsc", words(0, 1, 1, packets.length, 1)),
    box("stsz", words(0, 0, packets.length, ...packets.map((it) => it.length))),
    box("stco", words(0, 1, at)));
  const media = box("mdia",
    box("mdhd", words(0, 0, 0, SOUND_HZ, packets.length * frames, 0x55c4_0000)),
    box("hdlr", words(0, 0, "soun", 0, 0, 0), Buffer.from("sound\0")),
    box("minf", box("smhd", words(0, 0)), box("dinf", box("dref", words(0, 1), box("url ", words(1)))), tables));
  const edits = box("edts", box("elst", words(0, 1, length, before, 0x10000)));
  return box("trak", box("tkhd", words(3, 0, 0, 2, 0, length, 0, 0, 0, 0x100_0000), unity, words(0, 0)), edits, media);
}

/** What AAC's decoder has to know, or that it is MP3, which says the rest itself (ISO/IEC 14496-1, 7.2.6). */
function esds(config) {
  const said = (tag, ...inside) => Buffer.concat([Buffer.from([tag, Buffer.concat(inside).length]), ...inside]);
  const [kind, specific] = config ? [0x40, [said(5, config)]] : [0x6b, []];
  const decoder = said(4, Buffer.from([kind, 0x15, 0, 0, 0]), words(0, 0), ...specific);
  return box("esds", words(0), said(3, Buffer.from([0, 2, 0]), decoder, said(6, Buffer.from([2]))));
}

/** What Opus' has to, the high octet first and without its magic. */
function dOps(head) {
  const said = Buffer.from(head.subarray(8));
  said[0] = 0;
  said.subarray(2, 4).swap16();
  said.subarray(4, 8).swap32();
  said.subarray(8, 10).swap16();
  return box("dOps", said);
}

/**
 * In the page: reads the number off the canvas of live pictures whenever it is another, `{ number, atMs }`, into `window.film`.
 * What stands on it when a frame of the page begins is what is seen from then on. And into `window.parts` what the box said
 * of each piece, and into `window.untaken` of which film in which codec it said that the page does not take it.
 */
export function readLive(bits) {
  window.film = [];
  window.parts = [];
  window.untaken = [];
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
        const { type, track_id, codec, chunk_index, timestamp, is_keyframe, parts_left } = JSON.parse(data);
        if (type === "media_untaken") window.untaken.push([track_id, codec]);
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
  const attended = new Set();
  new MutationObserver(() => {
    for (const video of document.querySelectorAll("#films video")) {
      if (!attended.has(video)) attend(video);
      attended.add(video);
    }
  }).observe(document, { childList: true, subtree: true });
}

export { BITS };
