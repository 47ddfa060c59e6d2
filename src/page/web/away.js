// What an installed page shows while the box cannot be reached; once it answers, the page is loaded from it.

import { loadWords, wished } from "/page/words.js";

const EVERY_MS = 3000;

async function knock() {
  try {
    const answer = await fetch("/healthz", { cache: "no-store" });
    if (answer.ok) location.reload();
  } catch (_) {
    // Not yet.
  }
}

loadWords({ fetch: (url) => fetch(url), asked: wished() }).then((words) => words.dress(document)).catch(() => {});
window.addEventListener("online", knock);
setInterval(knock, EVERY_MS);
