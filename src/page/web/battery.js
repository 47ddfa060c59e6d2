// How full the battery is, now and whenever that changes; browsers that keep it to themselves say nothing.

/** @typedef {{ level: number, addEventListener(name: "levelchange", act: () => void): void }} Battery */

/**
 * @param {{ getBattery?: () => Promise<Battery> }} device where a page may ask: over TLS, and not everywhere
 * @param {(level: number) => void} said 0 to 1
 */
export async function watchBattery(device, said) {
  if (!device.getBattery) return;
  try {
    const battery = await device.getBattery();
    battery.addEventListener("levelchange", () => said(battery.level));
    said(battery.level);
  } catch (_) {
    // A page in a frame may be refused; nobody knows, then.
  }
}
