import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { encodeFrame, FLAG_FIN } from "#contract/link/frame.ts";
import type { Stage } from "./stage.ts";

const REPLACEMENTS = ["link", "links", "upwards", "process", "renamed", "hardLink", "folder", "pipe", "file"];
const REPLACED_WITHIN_MS = 5_000;

/** What a function does with the socket that the host connects to. */
export function attackBySocket(stage: Stage): void {
  const { attack } = stage;
  attack("leads the host to no other socket by what it puts in the place of its own", async ({ run, sandbox }) => {
    const { machine, traps, neighbour } = stage;
    const dial = () => machine.network.dial(sandbox.address, "control", { frame() {}, close() {} });
    await run("replace");
    for (const target of [...traps.sockets, neighbour.sandbox.address])
      for (const way of REPLACEMENTS) {
        const result = await replaced(dirname(sandbox.address), `${way} ${target};`);
        if (result === "done") await assert.rejects(async () => (await dial()).close(), `${way} to ${target}`);
        else assert.ok(machine.hasOwnKernel, `${way}: ${result}`);
        assert.deepEqual(traps.visitors, [], way);
      }
  });

  attack("gains nothing but its own sandbox by forged frames, whoever it plays", async ({ run, sandbox }) => {
    const revision = { tenant: "other", app: "shop", function: "pay", revision: "r1" };
    const code = { kind: "mount", path: "/etc" };
    const load = { ...revision, code, handler: "passwd", environment: {}, concurrency: 1, execution: "loop" };
    const frame = (type: number, head: object, stream = 0) =>
      encodeFrame(type, FLAG_FIN, stream, JSON.stringify(head), null);
    const agent = [frame(GUEST_FRAMES.LOAD, load), frame(GUEST_FRAMES.INIT, { timeoutMs: 1 })];
    const gateway = [
      frame(GUEST_FRAMES.HELLO, { owner: "forged", epoch: 1 }),
      frame(GUEST_FRAMES.INVOKE, { id: "01ARZ3NDEKTSV4RRFFQ69G5FAV", ...revision, budgetMs: 1_000 }, 1),
    ];
    const noise = Buffer.alloc(4_096, 0xff);
    const spoken = { c: Buffer.concat(agent), d: Buffer.concat(gateway), a: noise, s: noise };
    const frames = Object.entries(spoken).map(([kind, bytes]) => ({ kind, bytes: bytes.toString("base64") }));
    const told = await stage.machine.network.dial(sandbox.address, "data", { frame() {}, close() {} });
    const answer = await run<{ answers: string[] }>("forge", { frames, connections: 200 });
    assert.equal(answer.answers?.length, frames.length, JSON.stringify(answer));
    assert.doesNotMatch(answer.answers.join(), /canary-/);
    told.close();
  });
}

/** By the function, through the folder that it shares with the host. */
async function replaced(folder: string, order: string): Promise<string> {
  writeFileSync(join(folder, "order"), order);
  const untilMs = performance.now() + REPLACED_WITHIN_MS;
  let result = "";
  while (!result.startsWith(order) || result === order) {
    assert.ok(performance.now() < untilMs, `not replaced: ${result}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
    result = existsSync(join(folder, "result")) ? readFileSync(join(folder, "result"), "utf8") : "";
  }
  return result.slice(order.length, -1);
}
