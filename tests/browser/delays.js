// Records how long each piece of live sound is on its way to a page: through the box's own connection, Chromium's, and a bad
// network between them. `npm --prefix tests/page run delays` writes tests/vectors/delays/chromium-*.txt anew, in four minutes.

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { HERE, sendBy, tell, told } from "./alone.js";
import { begin, gather } from "./bursts.js";
import { startProxy, until } from "./helpers.js";

/** A scenario of `tools proxy` each, and what it is. */
const WAYS = {
  "wifi-calm": "a phone near its access point",
  "venue-crowded": "a full house on one Wi-Fi",
  roam: "somebody walks from one access point to the next",
  "power-save": "a radio that sleeps between beacons",
};
const SECONDS = 180;
/** Every second piece: they are 20 ms apart. */
const EVERY = 2;

if (process.argv[2]) await tell(record);
else for (const line of await told("delays.js", "chromium")) console.log(line);

async function record(later) {
  const { box, port } = await begin(later);
  const ways = await Promise.all(Object.keys(WAYS).map((name) => way(later, port, name)));
  const pages = await gather(later, box, ways.map((packets) => ({
    url: `http://localhost:${box.port}/`,
    async prepare(page) {
      await page.addInitScript(sendBy, `${HERE} ${packets.port}`);
      await page.addInitScript(noteArrivals);
    },
  })));
  await box.order("air", { what: "burst" });
  const rows = (page) => page.evaluate(() => window.arrivals.length);
  await until("enough has come", async () => (await Promise.all(pages.map(rows))).every((count) => count > SECONDS * 50), SECONDS * 1.5);
  for (const [k, [name, what]] of Object.entries(WAYS).entries()) {
    const arrivals = await pages[k].evaluate(() => window.arrivals);
    write(name, what, arrivals.filter((_, nth) => nth % EVERY === 0));
  }
}

async function way(later, port, scenario) {
  const packets = await startProxy(port, 0, ["--udp", "--scenario", scenario], HERE);
  later(() => packets.close());
  return packets;
}

function write(name, what, arrivals) {
  const head = `# Recorded: ${what} (\`tools proxy --udp --scenario ${name}\`), three minutes of live sound as Chromium had it on \`media\`. Each line: ms since the one before was sent, ms on its way, ms of the round trip.`;
  const lines = arrivals.map(({ sentMs, tookMs, rttMs }, k) =>
    `${Math.round(sentMs - (arrivals[k - 1] || arrivals[0]).sentMs)} ${tookMs.toFixed(1)} ${rttMs.toFixed(1)}`);
  const path = fileURLToPath(new URL(`../vectors/delays/chromium-${name}.txt`, import.meta.url));
  writeFileSync(path, `${[head, ...lines].join("\n")}\n`);
  const took = arrivals.map((it) => it.tookMs).sort((a, b) => a - b);
  const at = (share) => took[Math.floor((took.length - 1) * share)].toFixed(1);
  console.log(`${name}: ${took.length} pieces, on their way ${at(0.5)} ms p50, ${at(0.99)} p99, ${at(1)} at most`);
}

/** In the page: its clock and the box's are the machine's. */
function noteArrivals() {
  window.arrivals = [];
  let rttMs = 0;
  const create = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function createNoted(label, how) {
    const channel = create.call(this, label, how);
    if (label === "media") {
      channel.addEventListener("message", ({ data, timeStamp }) => {
        const { type, header } = JSON.parse(data);
        if (type !== "media_data") return;
        const [sentMs, cameMs] = [header.timestamp * 1000, performance.timeOrigin + timeStamp];
        window.arrivals.push({ sentMs, tookMs: Math.max(0, cameMs - sentMs), rttMs });
      });
      setInterval(async () => {
        for (const it of (await this.getStats()).values()) {
          if (it.type === "candidate-pair" && it.currentRoundTripTime) rttMs = it.currentRoundTripTime * 1000;
        }
      }, 1000);
    }
    return channel;
  };
}
