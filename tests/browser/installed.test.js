// An installed page: it opens when the box is away, says so, and is loaded from the box as soon as that is back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import net from "node:net";
import { clickShow, startBox, startBrowser, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
let box;
let browser;

before(async () => {
  if (skip) return;
  box = await startBox(clickShow);
  // A worker is for certificates that browsers trust; this one is trusted by order.
  browser = await startBrowser(null, "--ignore-certificate-errors");
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

/** A door to a port of the box that can be shut, and opened again where it was. */
async function doorTo(port) {
  const sockets = new Set();
  let server;
  const open = (at) => new Promise((done) => {
    server = net.createServer((near) => {
      const far = net.connect(port, "127.0.0.1");
      for (const [socket, other] of [[near, far], [far, near]]) {
        sockets.add(socket);
        socket.on("error", () => {}).on("close", () => { sockets.delete(socket); other.destroy(); }).pipe(other);
      }
    });
    server.listen(at, "127.0.0.1", () => done(server.address().port));
  });
  const shut = () => new Promise((done) => {
    server.close(done);
    sockets.forEach((socket) => socket.destroy());
  });
  const at = await open(0);
  return { at, shut, reopen: () => open(at) };
}

test("an installed page opens without the box, and is the box's own as soon as it is there", { skip, timeout: 60_000 }, async () => {
  const door = await doorTo(box.securePort);
  const page = await browser.newPage();
  await page.goto(`https://127.0.0.1:${door.at}/?lang=ja`);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => {}));
  await door.shut();
  await page.reload();
  const role = () => page.getAttribute("body", "data-role").catch(() => null);
  assert.equal(await role(), "away");
  await until("it says so, in the language that the address asks for", async () => /まだ見つかりません/.test(await page.textContent("h1")));
  await door.reopen();
  await until("the page is there", async () => (await role()) === "phone");
  await page.waitForSelector("#tap:not(:empty)");
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    const files = await Promise.all(names.map(async (name) => (await (await caches.open(name)).keys()).map((it) => new URL(it.url).pathname)));
    return { names, files: files.flat() };
  });
  assert.equal(kept.names.length, 1);
  assert.ok(!kept.files.includes("/") && !kept.files.some((it) => /main\.js|core\.wasm|view\.js/.test(it)), "nothing of the page itself is kept");
  await page.close();
  await door.shut();
});

test("the page can be installed: its manifest names icons that are there, of the sizes that it says", { skip }, async () => {
  const page = await browser.newPage();
  await page.goto(`http://localhost:${box.port}/`);
  const icons = await page.evaluate(async () => {
    const manifest = await (await fetch(document.querySelector("link[rel=manifest]").href)).json();
    const icons = manifest.icons.map(async ({ src, sizes }) => {
      const image = new Image();
      image.src = src;
      await image.decode();
      return { sizes, found: `${image.naturalWidth}x${image.naturalHeight}` };
    });
    return { display: manifest.display, start: manifest.start_url, icons: await Promise.all(icons) };
  });
  assert.deepEqual([icons.display, icons.start], ["standalone", "/"]);
  const drawn = icons.icons.filter(({ sizes }) => sizes !== "any");
  assert.ok(drawn.length >= 2);
  drawn.forEach(({ sizes, found }) => assert.equal(found, sizes));
  await page.close();
});
