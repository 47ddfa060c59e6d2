// What pages with pictures need beside the core: a WebAssembly of its own behind a door of plain numbers
// (src/phone/pictures_door.rs). Fetched when the first pictures come.

/** @returns {Promise<import("./types").PicturesDoor>} */
export async function fetchPictures() {
  const answer = await fetch("/page/pictures.wasm");
  if (!answer.ok) throw new Error(`no pictures.wasm: ${answer.status}`);
  return openPictures(await answer.arrayBuffer());
}

/** @param {BufferSource} bytes @returns {Promise<import("./types").PicturesDoor>} */
export async function openPictures(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return /** @type {any} */ (instance.exports);
}
