// Brings the page up. A phone that has just changed its network loses what it was fetching: then the page asks until
// the box answers, and begins anew. Meanwhile the page says in its own words, of all languages, that it is trying.

/** About so long between two questions: a whole audience may have lost the same network. */
const AGAIN_MS = 2000;

Promise.all([import("/page/main.js"), fetchCore()]).then(([page, core]) => page.begin(core)).catch(comeAgain);

async function fetchCore() {
  const answer = await fetch("/page/core.wasm");
  if (!answer.ok) throw new Error(`no core: ${answer.status}`);
  return answer.arrayBuffer();
}

/** @param {unknown} why */
async function comeAgain(why) {
  console.warn(why);
  const trying = document.getElementById("trying");
  if (trying) trying.hidden = false;
  await new Promise((done) => { setTimeout(done, AGAIN_MS * (0.5 + Math.random())); });
  try {
    const answer = await fetch("/page/version", { cache: "no-store" });
    if (answer.ok) return location.reload();
  } catch (_) {
    // Still away.
  }
  comeAgain(why);
}
