// Of an installed page, over TLS only. It keeps the page that says that the box is away, and nothing else: the page
// itself always comes from the box, so that it is never older than the box it talks to.

// @ts-nocheck: a worker's own names are in no library of types here.

const KEPT = "downbeat-%VERSION%";
const AWAY = "/page/away.html";
const FILES = [AWAY, "/page/away.js", "/page/words.js", "/page/words/en.json", "/page/words/ja.json", "/page/style.css", "/page/icon.svg"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((kept) => kept.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const forget = (name) => name !== KEPT && caches.delete(name);
  event.waitUntil(caches.keys().then((names) => Promise.all(names.map(forget))).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url).pathname;
  if (request.mode === "navigate") event.respondWith(fetch(request).catch(() => caches.match(AWAY)));
  // What the box serves is better, if it is there.
  else if (FILES.includes(path)) event.respondWith(fetch(request).catch(() => caches.match(path)));
});
