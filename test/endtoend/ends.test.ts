// How a function's process ended is noticed in under a second, and told with its cause.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { probeContainers } from "#drivers/sandbox/container/probe.ts";
import { node, Place, type Platform, python, startPlatform } from "./platform.ts";
import { guestsOf } from "./processes.ts";

/** From the moment of death to the caller's answer: some 100 ms, also on a machine that has none. */
const NOTICED_MS = 1_000;
const LOOK_MS = 2;

const probe = await probeContainers({ wanted: undefined, searchPath: process.env.PATH ?? "" });
const skip = probe.works ? false : `no container sandboxes here: ${probe.reason}. ${probe.remedy}`;

const ENDS = `
const ways = {
  exit: () => process.exit(3),
  kill: () => process.kill(process.pid, "SIGKILL"),
  memory: () => { const all = []; for (;;) all.push(Buffer.alloc(16 << 20, 1)); },
};
export default ({ way }) => {
  ways[way]?.();
  return new Promise((resolve) => setTimeout(resolve, way === undefined ? 0 : 30_000, "fine"));
};`;
const ENDS_PYTHON = `
import os
def handler(input, context):
    way = input.get("way")
    if way == "exit": os._exit(3)
    if way == "kill": os.kill(os.getpid(), 9)
    all = []
    while way == "memory": all.append(b"x" * (16 << 20))
    return "fine"
`;

let platform: Platform;
before(async () => {
  if (skip) return;
  platform = await startPlatform(new Place({ COLIBRI_SANDBOX: "container" }));
  await platform.deploy("app", {
    node: node(ENDS),
    "node-process": node(ENDS, { execution: "process", concurrency: 2 }),
    python: python(ENDS_PYTHON),
    "python-process": python(ENDS_PYTHON, { execution: "process", concurrency: 2 }),
  });
});
after(() => platform?.close());

function ask(name: string, way?: string) {
  const headers = { "content-type": "application/json" };
  return platform.call(`app/${name}`, { headers, body: JSON.stringify(way === undefined ? {} : { way }) });
}

/** Tells when all guests of now were alive for the last time, so that a death was no earlier. */
function watchGuests(): () => number {
  const pids = guestsOf(platform.home).map(({ pid }) => pid);
  let lastAliveMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    if (pids.every(isAlive)) lastAliveMs = nowMs;
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    return lastAliveMs;
  };
}

/** What is dead and not buried yet is a zombie. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

const ENDINGS = [
  ["exit", "function-exited", /exited with code 3/],
  ["kill", "function-exited", /killed by SIGKILL/],
  ["memory", "out-of-memory", /^out of memory at 128 MiB/],
] as const;

describe("containers", { skip }, () => {
  for (const name of ["node", "python", "node-process", "python-process"])
    for (const [way, code, message] of ENDINGS)
      test(`${name}, ${way}: the caller is told soon, and the next one is served`, async (t) => {
        assert.equal((await ask(name)).text, "fine");
        const lastAlive = watchGuests();
        const answer = await ask(name, way);
        const tookMs = Math.round(performance.now() - lastAlive());
        t.diagnostic(`${tookMs} ms after its death: ${answer.message}`);
        assert.deepEqual([answer.status, answer.code], [502, code], answer.text);
        assert.match(answer.message, message);
        assert.ok(tookMs < NOTICED_MS, `told after ${tookMs} ms`);
        assert.equal((await ask(name)).text, "fine");
      });
});
