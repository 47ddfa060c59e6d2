// A performer's view in Chromium: over TLS, counting down what the box has ordered.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inStep, startBox, startBrowser, until, whyNot } from "./helpers.js";

const skip = whyNot() || false;
let box;
let browser;

/** A cue that another follows by itself a minute later. */
function twoCues(folder) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "show.toml"), `
[show]
title = "Two cues"

[[list]]
name = "main"

[[list.cue]]
number = 1
name = "Storm"
phones = { color = "#203040" }
continue = "auto-continue"
post_wait = "60s"

[[list.cue]]
number = 2
name = "Dawn"
phones = { color = "#ff9030" }
`);
  return folder;
}

before(async () => {
  if (skip) return;
  box = await startBox(twoCues);
  browser = await startBrowser();
});

after(async () => {
  if (browser) await browser.close();
  if (box) await box.stop();
});

test("a performer sees the next cue, and how long until it comes", { skip, timeout: 60_000 }, async () => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  const token = (await box.command("token", "--role", "performer")).stdout.trim().split("\n").at(-1);
  await page.goto(`https://localhost:${box.securePort}/performer#token=${token}`);
  await until("nobody reads the token over a shoulder", async () => new URL(page.url()).hash === "");
  await inStep(page);
  const next = () => page.textContent(".next").catch(() => "");
  await until("the first cue stands by", async () => (await next()) === "1 Storm" && (await page.textContent(".wait")) === "On GO");
  await box.go();
  await until("the second is counted down", async () => (await next()) === "2 Dawn" && /^(1:00|0:5\d)$/.test(await page.textContent(".count")));
  const first = await page.textContent(".count");
  await until("it goes on", async () => (await page.textContent(".count")) !== first);
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, "performer.png") });
  assert.deepEqual(errors, []);
  await context.close();
});

test("over plain HTTP a performer is sent to TLS, and nothing is said of what comes", { skip }, async () => {
  const asked = (path) => new Promise((done, failed) => {
    request({ host: "127.0.0.1", port: box.port, path, headers: { host: `box.local:${box.port}` } }, (answer) => {
      answer.resume();
      done([answer.statusCode, answer.headers.location]);
    }).on("error", failed).end();
  });
  assert.deepEqual(await asked("/performer?lang=ja"), [307, `https://box.local:${box.securePort}/performer?lang=ja`]);
  assert.deepEqual(await asked("/prompt"), [403, undefined]);
});
