// The phone's own lamp. Browsers have it as the camera's, so its holder is asked for the camera; nobody looks at a picture.

/**
 * @param {{ getUserMedia: (wanted: object) => Promise<MediaStream> }} mediaDevices
 * @param {(lamp: import("./types").LampNews) => void} tell
 * @returns {import("./types").Torch}
 */
export function createTorch(mediaDevices, tell) {
  /** @type {MediaStreamTrack | null} */
  let track = null;
  let wanted = false;
  let isLit = false;
  let isBusy = false;

  // One change at a time; what was wanted last counts.
  async function turn() {
    if (!track || isBusy || wanted === isLit) return;
    isBusy = true;
    isLit = wanted;
    const torch = /** @type {MediaTrackConstraintSet} */ ({ torch: isLit });
    await track.applyConstraints({ advanced: [torch] }).catch(() => {});
    isBusy = false;
    turn();
  }

  /** @param {MediaStreamTrack} its */
  function take(its) {
    track = its;
    isLit = false;
    // A call, or another page, takes the camera away.
    track.addEventListener("ended", () => {
      track = null;
      tell("free");
    });
    tell("lent");
    turn();
  }

  return {
    async lend() {
      try {
        const stream = await mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
        const [its] = stream.getVideoTracks();
        const able = /** @type {{ torch?: boolean }} */ (its.getCapabilities ? its.getCapabilities() : {});
        if (able.torch) return take(its);
        its.stop();
        tell("missing");
      } catch (_) {
        // There is none, or its holder says no; nobody is asked twice.
        tell("missing");
      }
    },
    set(on) {
      wanted = on;
      turn();
    },
  };
}
