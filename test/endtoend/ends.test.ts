// How a function's process ended is noticed in under a second, and told with its cause.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { probeContainers } from "#drivers/sandbox/container/probe.ts";
import { node, Place, type Platform, python, startPlatform } from "./platform.ts";

/** Under a second on a machine that has time; the checks run on one that has not. */
const NOTICED_MS = 5_000;

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
        const begun = performance.now();
        const answer = await ask(name, way);
        const tookMs = Math.round(performance.now() - begun);
        t.diagnostic(`${tookMs} ms: ${answer.message}`);
        assert.deepEqual([answer.status, answer.code], [502, code], answer.text);
        assert.match(answer.message, message);
        assert.ok(tookMs < NOTICED_MS, `told after ${tookMs} ms`);
        assert.equal((await ask(name)).text, "fine");
      });
});
