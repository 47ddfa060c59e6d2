// What the page's tests share: the core as the last build made it, and the vectors.

import { readFileSync, readdirSync, statSync } from "node:fs";
import { beginCore } from "../../src/page/web/core.js";
import { createWords } from "../../src/page/web/words.js";

const house = new URL("../../", import.meta.url);

/** The newest core that cargo built; `CORE_WASM` names another. */
export function coreBytes() {
  return process.env.CORE_WASM ? readFileSync(process.env.CORE_WASM) : newest("core.wasm");
}

/** The newest `pictures.wasm`. */
export function picturesBytes() {
  return newest("pictures.wasm");
}

/** The newest `opus.wasm`. */
export function opusBytes() {
  return newest("opus.wasm");
}

function newest(name) {
  const target = process.env.CARGO_TARGET_DIR ? new URL(`file://${process.env.CARGO_TARGET_DIR}/`) : new URL("target/", house);
  const built = ["debug", "release"].flatMap((profile) => made(name, new URL(`${profile}/build/`, target)));
  if (built.length === 0) throw new Error(`there is no ${name} yet: \`cargo build -p page\` makes it`);
  built.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  return readFileSync(built[0]);
}

function made(file, folder) {
  const names = tried(() => readdirSync(folder), []);
  return names
    .filter((name) => name.startsWith("page-"))
    .map((name) => new URL(`${name}/out/${file}`, folder))
    .filter((file) => tried(() => statSync(file).isFile(), false));
}

function tried(act, otherwise) {
  try {
    return act();
  } catch {
    return otherwise;
  }
}

export function begin(role = "phone", nowMs = 1000, unixMs = 1_790_000_000_000) {
  return beginCore(coreBytes(), nowMs, { chance: "00112233445566778899aabbccddeeff", unix_ms: unixMs, role });
}

export function vectors() {
  const folder = new URL("tests/vectors/solusync/", house);
  return readdirSync(folder).flatMap((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")));
}

/** A datagram of `tests/vectors/time`: hexadecimal octets behind each field's name; `00*5` is five of them. */
export function datagram(name) {
  const text = readFileSync(new URL(`tests/vectors/time/${name}`, house), "utf8");
  const words = text.split("\n").filter((line) => !line.startsWith("#")).flatMap((line) => line.split(/\s+/).slice(1));
  return Uint8Array.from(words.filter(Boolean).flatMap((word) => {
    const [octet, count] = word.split("*");
    return Array(Number(count || 1)).fill(parseInt(octet, 16));
  }));
}

/** A file of the page, as text. */
export function web(name) {
  return readFileSync(new URL(`src/page/web/${name}`, house), "utf8");
}

export function wordsOf(language) {
  return createWords(language, tableOf(language));
}

/** All sentences of a language, those that come later as well. */
export function tableOf(language) {
  return Object.assign({}, ...["", "-later"].map((part) => JSON.parse(web(`words/${language}${part}.json`))));
}

let sequence = 0;

/** A message of a box. */
export function message(type, fields, unixS = 1_790_000_000) {
  sequence += 1;
  const id = `00000000-0000-4000-8000-${String(sequence).padStart(12, "0")}`;
  const header = { id, timestamp: unixS, node_id: "00000000-0000-4000-8000-00000000ffff", sequence };
  return JSON.stringify({ type, header, ...fields });
}

export const welcome = {
  protocol_version: "0.1.0",
  capabilities: ["audio"],
  node_type: "master",
  cluster_info: { master_id: "00000000-0000-4000-8000-00000000ffff", replica_ids: [] },
  show: {
    title: "Downbeat demo",
    tracks: [{ track_id: "track_001", url: "/media/ab", sha256: "ab", bytes: 4, duration: 30 }],
  },
};
