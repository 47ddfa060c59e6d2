// Bursts of a tone, sent live, and how they are told apart: what stories of live sound share.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { heard, wav } from "./helpers.js";

/** A burst of a tone every quarter of a second, short enough to be one click to the ear at the output. */
const BURST = { everyS: 0.25, lengthS: 0.008, hz: 997, level: 0.9 };
export const BURSTS = 40;
/** What the whole is to stay within (issue and row speak of the loudspeaker, this is its last sample before). */
export const IN_STEP_MS = 5;

export function all(pages) {
  return Promise.all(pages.map(heard));
}

/** The connections that have the channel. */
export async function peersOf(box) {
  const { stdout } = await box.command("phones", "--json");
  return JSON.parse(stdout).phones.map(({ peer }) => peer).filter((peer) => peer && peer.channels.includes("media"));
}

/** A show of one track of bursts, with `more` under its `[show]`. */
export function bursts(folder, more = "") {
  mkdirSync(join(folder, "audio"), { recursive: true });
  const [every, length] = [BURST.everyS, BURST.lengthS].map((s) => s * 48_000);
  const sample = (n) => (n % every < length ? Math.round(32_767 * BURST.level * Math.sin((2 * Math.PI * BURST.hz * (n % every)) / 48_000)) : 0);
  writeFileSync(join(folder, "audio/burst.wav"), wav(48_000, 4 * 48_000, sample));
  writeFileSync(join(folder, "show.toml"), `
[show]
title = "Bursts"
${more}

[tracks]
burst = "audio/burst.wav"

[[list]]
name = "main"

[[list.cue]]
number = 1
name = "Colour"
phones = { color = "#ff9030", fade = "200ms" }
`);
  return folder;
}
