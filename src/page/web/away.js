// What an installed page shows while the box cannot be reached; once it answers, the page is loaded from it.

import { loadWords } from "/page/words.js";

const EVERY_MS = 3000;

async function knock() {
  try {
    const answer = await fetch("/healthz", { cache: "no-store" });
    if (answer.ok) location.reload();
  } catch (_) {
    // Not yet.
  }
}

const asked = navigator.languages || [navigator.language];
loadWords({ fetch: (url) => fetch(url), asked }).then((words) => words.dress(document)).catch(() => {});
window.addEventListener("online", knock);
setInterval(knock, EVERY_MS);
