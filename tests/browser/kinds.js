// A sound in every kind of file that tracks may be, and what a browser makes of it, whole and in pieces.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { house, wav } from "./helpers.js";

const RATE_HZ = 44_100;
const SECONDS = 20;
/** Of a kind each; the encoders are Debian's. Opus is begun in the middle, and is near what it would be after 80 ms. */
const KINDS = {
  constant: { by: "lame", how: (from, to) => ["-b", "128", from, to] },
  variable: { by: "lame", how: (from, to) => ["-V", "4", from, to] },
  poor: { by: "lame", how: (from, to) => ["-t", "-b", "32", "--resample", "22.05", from, to] },
  vorbis: { by: "oggenc", how: (from, to) => ["-q", "4", "-o", to, from] },
  opus: { by: "opusenc", how: (from, to) => ["--bitrate", "96", from, to], off: 2e-3 },
};

/** `[{ name, bytes, off }]`; what is decoded of a piece may be `off` by so much from what the whole has there. */
export function kinds() {
  const folder = mkdtempSync(join(tmpdir(), "downbeat-kinds-"));
  try {
    const sound = join(folder, "sound.wav");
    writeFileSync(sound, wav(RATE_HZ, RATE_HZ * SECONDS, noise));
    const coded = Object.entries(KINDS).map(([name, { by, how, off = 0 }]) => {
      const file = join(folder, name);
      execFileSync(by, how(sound, file), { stdio: "ignore" });
      return { name, bytes: readFileSync(file), off };
    });
    return [{ name: "flac", bytes: readFileSync(join(house, "config/demo/audio/sunrise.flac")), off: 0 }, ...coded];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Noise that is the same whenever it is made, under a tone that rises. */
function noise(n) {
  const chance = (Math.imul(n, 0x9e3779b1) ^ Math.imul(n >>> 7, 0x85ebca6b)) >> 18;
  return Math.round(chance * 0.6 + 12_000 * Math.sin((2 * Math.PI * (200 + n / 8_820) * n) / RATE_HZ));
}

/** In a page of the box: how long a file is as the browser and as our cutter has it, and for some pieces of a second from
 * where on it is decoded, and how far off its worst sample is. */
export async function cutUp(base64) {
  const { cutter } = await import("/page/cuts.js");
  const file = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
  const cuts = cutter(file);
  const host = new OfflineAudioContext(2, 48_000, cuts.rateHz);
  const whole = await host.decodeAudioData(file.slice(0));
  const places = [0, 0.1, 0.37, 0.5, 0.83, 0.97].map((share) => Math.floor(share * cuts.frames));
  const pieces = await Promise.all(places.map(async (from) => {
    const last = Math.min(cuts.frames, from + cuts.rateHz);
    const cut = cuts.cut(from, last);
    const piece = await host.decodeAudioData(cut.bytes);
    const first = cut.first === undefined ? cut.last - piece.length : cut.first;
    let worst = first + piece.length < last ? 1 : 0;
    for (let channel = 0; channel < whole.numberOfChannels; channel += 1) {
      const [all, some] = [whole.getChannelData(channel), piece.getChannelData(channel)];
      for (let n = from; n < last; n += 1) worst = Math.max(worst, Math.abs(all[n] - some[n - first]));
    }
    return { from, first, worst };
  }));
  return { frames: [whole.length, cuts.frames], pieces };
}
