// Safari's engine, twice: WebKitGTK's own small browser, of today, and WPE's, of the year of Safari 16. Both are driven by
// WebDriver (W3C); the first on a display that nobody sees.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, until } from "./helpers.js";

const XVFB = "/usr/bin/Xvfb";
const COG = "/usr/bin/cog";
const ENGINES = {
  gtk: { driver: "/usr/bin/WebKitWebDriver", needs: XVFB, options: {} },
  wpe: {
    driver: "/usr/bin/WPEWebDriver",
    needs: COG,
    options: { "wpe:browserOptions": { binary: COG, args: ["--automation", "--platform=headless"] } },
  },
};
export const engines = Object.keys(ENGINES);
/** How WebDriver names an element. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";

/** Why that engine cannot be met here; null where it can. */
export function whyNoWebKit(engine) {
  const { driver, needs } = ENGINES[engine];
  const missing = [driver, needs].find((path) => !existsSync(path));
  return missing ? `no ${missing}: \`tools/setup --tests\` installs it` : null;
}

/**
 * A browser, `{ version, open(url), enter(), close() }`, with one page at a time, which is as Playwright's
 * as far as our tests ask it, `{ evaluate, click, getAttribute, textContent }`. It sounds into `pulse`, `{ server, sink }`.
 */
export async function startWebKit(engine, pulse) {
  const { driver: path, needs, options } = ENGINES[engine];
  const home = mkdtempSync(join(tmpdir(), "downbeat-webkit-"));
  const display = needs === XVFB ? await startDisplay() : null;
  const [port] = await freePorts(1);
  const env = { ...process.env, HOME: home, XDG_RUNTIME_DIR: home, NO_AT_BRIDGE: "1" };
  if (display) env.DISPLAY = display.name;
  if (pulse) Object.assign(env, { PULSE_SERVER: pulse.server, PULSE_SINK: pulse.sink });
  const driver = spawn(path, [`--port=${port}`], { env, stdio: "ignore" });
  const ask = async (method, to, body) => {
    const answer = await fetch(`http://127.0.0.1:${port}${to}`, { method, body: body && JSON.stringify(body) });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`${to}: ${value.error}: ${value.message}`);
    return value;
  };
  const end = async () => {
    await ended(driver);
    if (display) await ended(display.child);
    rmSync(home, { recursive: true, force: true });
  };
  const begin = async () => {
    await until("the driver answers", () => ask("GET", "/status").catch(() => null));
    return ask("POST", "/session", { capabilities: { alwaysMatch: { acceptInsecureCerts: true, ...options } } });
  };
  const { sessionId, capabilities } = await begin().catch(async (error) => {
    await end();
    throw error;
  });
  const session = (method, to, body) => ask(method, `/session/${sessionId}${to}`, body);
  const page = pageOf(session);
  return {
    version: capabilities.browserVersion,
    async open(url) {
      await page.goto(url);
      return page;
    },
    /** From now on the page is what is in its only frame. */
    enter: () => session("POST", "/frame", { id: 0 }),
    async close() {
      await session("DELETE", "");
      await end();
    },
  };
}

/** Xvfb finds itself a free number, and says it. */
async function startDisplay() {
  const child = spawn(XVFB, ["-displayfd", "3", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const [number] = await once(child.stdio[3], "data");
  return { child, name: `:${String(number).trim()}` };
}

async function ended(child) {
  child.kill("SIGTERM");
  await once(child, "exit");
}

function pageOf(ask) {
  const evaluate = (act, given) => ask("POST", "/execute/sync", { script: `return (${act}).apply(null, arguments);`, args: [given] });
  return {
    evaluate,
    goto: (url) => ask("POST", "/url", { url }),
    async click(selector) {
      const found = await ask("POST", "/element", { using: "css selector", value: selector });
      await ask("POST", `/element/${found[ELEMENT]}/click`, {});
    },
    getAttribute: (selector, name) => evaluate(([where, what]) => document.querySelector(where).getAttribute(what), [selector, name]),
    textContent: (selector) => evaluate((where) => document.querySelector(where).textContent, selector),
    screenshot: async () => Buffer.from(await ask("GET", "/screenshot"), "base64"),
  };
}
