/** The whole way on real processes: spawner, agent, Node guest. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createSystemClock } from "#base/clock.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { groupMembers } from "#base/process-group.ts";
import { type AgentEvents, agentEvents, agentRequests } from "#contract/agent/link.ts";
import type { ReportItem } from "#contract/report/report.ts";
import { NO_POOLS } from "#domain/scaling/pool-rules.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { findLeftovers } from "#drivers/sandbox/process/leftovers.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { tarOf } from "#platform/builder/archive/archive.fixture.ts";
import { createSpawner, type Spawner } from "#platform/spawner/spawner.ts";
import { GuestSession } from "#ports/sandbox/testing/guest-session.ts";
import type { AgentOrders } from "./process.fixture.ts";

const clock = createSystemClock();
const network = createSocketNetwork();
/** The one that GuestSession speaks of. */
const REVISION = { tenant: "default", app: "suite", function: "guest", revision: "r1" };
const FUNCTION = `
let count = 0;
export default (input) => {
  console.log("count", ++count);
  if (input === "exit") process.exit(7);
  return String(count);
};`;

let home: string;
let orders: AgentOrders;
let spawner: Spawner;
const children = new Set<ChildProcess>();

before(async () => {
  home = mkdtempSync(join(tmpdir(), "colibri-agent-"));
  const tar = await tarOf([
    { name: "index.mjs", content: FUNCTION },
    { name: "broken.mjs", content: 'throw new TypeError("broken at load");\n' },
  ]);
  const digest = `sha256:${createHash("sha256").update(tar).digest("hex")}` as const;
  const blobs = createFilesystemBlobs({ root: join(home, "blobs") });
  await blobs.open(AbortSignal.timeout(5_000));
  await blobs.put("default", digest, chunkOf(tar), { maximumBytes: tar.length });
  await blobs.close();
  const { nodejs: guest } = await bundleGuests(join(home, "guests"));
  orders = {
    ...{ sandboxes: join(home, "sandboxes"), bundles: join(home, "bundles"), blobs: join(home, "blobs"), guest },
    ...{ spawner: join(home, "spawner.sock"), address: join(home, "agent.sock") },
    spec: {
      ...REVISION,
      ...{ runtime: "nodejs", handler: "index.mjs", execution: "loop", bundle: { digest, bytes: tar.length } },
      ...{
        memoryMiB: 128,
        concurrency: 1,
        timeoutMs: 10_000,
        initTimeoutMs: 10_000,
        environment: {},
        network: { kind: "internet" },
        sealedSecrets: [],
      },
    },
    pools: NO_POOLS,
  };
  spawner = createSpawner({ network, clock, log: createSilentLog() }, { address: orders.spawner });
  await spawner.open(AbortSignal.timeout(5_000));
});

after(async () => {
  for (const child of children) child.kill("SIGKILL");
  await spawner.close();
  execFileSync("chmod", ["-R", "u+w", home]);
  rmSync(home, { recursive: true });
});

async function* chunkOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** An agent process, with the report items it left. */
async function startAgent({ handler = orders.spec.handler, pools = NO_POOLS } = {}) {
  const path = fileURLToPath(new URL("./process.fixture.ts", import.meta.url));
  const given: AgentOrders = { ...orders, pools, spec: { ...orders.spec, handler } };
  const child = spawn(process.execPath, [path, JSON.stringify(given)], { stdio: ["ignore", "pipe", "inherit"] });
  children.add(child);
  const exited = once(child, "exit");
  const items: ReportItem[] = [];
  const opened = Promise.withResolvers<void>();
  createInterface({ input: child.stdout! }).on("line", (line) => {
    const value = JSON.parse(line);
    if (value === "open") opened.resolve();
    else items.push(value);
  });
  await opened.promise;
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  return { items, kill };
}

async function connect(epoch: number) {
  const waiting = new Map<string, (event: never) => void>();
  const told = new Map<string, unknown>();
  const hear = Object.fromEntries(
    Object.keys(agentEvents).map((name) => [
      name,
      (event: never) => {
        told.set(name, event);
        waiting.get(name)?.(event);
      },
    ]),
  );
  const sides = { asks: agentRequests, hears: agentEvents, serves: {}, emits: {} };
  const link = new MessageLink({ clock }, sides, { serve: {}, hear: hear as never, closed: () => {} });
  link.attach(await network.dial(orders.address, "agent", link.handlers));
  const hello = await link.ask("hello", { owner: "gw1", epoch }, 5_000);
  const event = <K extends keyof AgentEvents>(name: K) =>
    new Promise<AgentEvents[K]>((resolve) => {
      if (told.has(name)) resolve(told.get(name) as AgentEvents[K]);
      waiting.set(name, resolve);
    });
  return { ask: link.ask.bind(link) as typeof link.ask, hello, event, close: () => link.close() };
}

const invoke = (address: string, text: string) => new GuestSession(network, address).invoke(text);

test("a function answers, outlives its agent with its memory, and leaves nothing when it is released", async () => {
  const first = await startAgent();
  const owner = await connect(1);
  const { sandbox, address } = await owner.ask("acquire", { epoch: 1, revision: REVISION }, 20_000);
  await owner.ask("load", { epoch: 1, sandbox, revision: REVISION }, 5_000);
  assert.ok((await owner.event("ready")).startMs > 0);
  assert.deepEqual(await invoke(address, "a"), { kind: "answer", text: "1" });

  await first.kill();
  assert.deepEqual(await invoke(address, "b"), { kind: "answer", text: "2" });
  const second = await startAgent();
  const again = await connect(2);
  assert.deepEqual(
    again.hello.sandboxes.map((view) => [view.sandbox, view.bound, view.slots, view.epoch]),
    [[sandbox, REVISION, 1, 2]],
  );
  // How far it is the guest tells, where the agent was killed before it wrote that down.
  if (again.hello.sandboxes[0]?.state !== "ready") await again.event("ready");
  assert.deepEqual(await invoke(address, "c"), { kind: "answer", text: "3" });

  await again.ask("release", { epoch: 2, sandbox, cause: "idle", reason: "the test is over" }, 5_000);
  assert.deepEqual(await again.event("gone"), { sandbox, cause: "idle" });
  assert.deepEqual(readdirSync(orders.sandboxes), []);
  assert.deepEqual([...findLeftovers(orders.sandboxes)], []);
  again.close();
  await second.kill();
});

test("an exit is told with its code; what was logged before arrives under the invocation", async () => {
  const agent = await startAgent();
  const owner = await connect(3);
  const { sandbox, address } = await owner.ask("acquire", { epoch: 3, revision: REVISION }, 20_000);
  const [record] = readFileSync(join(orders.sandboxes, sandbox, "handle.json"), "utf8").split("\n");
  const { handle } = JSON.parse(record!);
  await owner.ask("load", { epoch: 3, sandbox, revision: REVISION }, 5_000);
  await owner.event("ready");
  assert.deepEqual(await invoke(address, "exit"), { kind: "cut" });
  const gone = await owner.event("gone");
  assert.deepEqual([gone.cause, gone.failure?.code], ["exited", "function-exited"]);
  assert.match(gone.failure!.message, /^the function's process exited with code 7/);
  assert.deepEqual(groupMembers(handle.state.pid), []);
  const entries = agent.items.flatMap((item) => (item.kind === "logs" ? item.log.entries : []));
  assert.ok(
    entries.some(({ text, invocation }) => text.startsWith("count 1") && invocation !== undefined),
    JSON.stringify(entries),
  );
  owner.close();
  await agent.kill();
});

test("what is thrown at load is in the log once, with paths relative to the bundle", async () => {
  const agent = await startAgent({ handler: "broken.mjs" });
  const owner = await connect(4);
  const { sandbox } = await owner.ask("acquire", { epoch: 4, revision: REVISION }, 20_000);
  await owner.ask("load", { epoch: 4, sandbox, revision: REVISION }, 5_000);
  const { cause, failure } = await owner.event("gone");
  const message = "TypeError: broken at load";
  assert.deepEqual({ cause, failure }, { cause: "load-failed", failure: { code: "load-failed", message } });
  owner.close();
  await agent.kill();
  const texts = agent.items.flatMap((item) => (item.kind === "logs" ? item.log.entries.map(({ text }) => text) : []));
  assert.equal(texts.length, 1, JSON.stringify(texts));
  assert.match(texts[0]!, /^TypeError: broken at load\n +at broken\.mjs:1:7$/);
});

test("sandboxes wait in a pool, also for the next agent, and are bound once", async () => {
  const pools = { ...NO_POOLS, named: [{ runtime: "nodejs", memoryMiB: 128, min: 1, max: 1 }] };
  const first = await startAgent({ pools });
  const before = await waiting(await connect(4), 4);
  await first.kill();
  const second = await startAgent({ pools });
  const owner = await connect(5);
  assert.equal(await waiting(owner, 5), before);

  const { sandbox, address, pooled } = await owner.ask("acquire", { epoch: 5, revision: REVISION }, 20_000);
  assert.deepEqual([sandbox, pooled], [before, "hit"]);
  await owner.ask("load", { epoch: 5, sandbox, revision: REVISION }, 5_000);
  await owner.event("ready");
  assert.deepEqual(await invoke(address, "a"), { kind: "answer", text: "1" });
  await owner.ask("release", { epoch: 5, sandbox, cause: "idle", reason: "the test is over" }, 5_000);
  await owner.event("gone");
  assert.notEqual(await waiting(owner, 5), before);
  owner.close();
  await second.kill();

  const third = await startAgent();
  assert.deepEqual(readdirSync(orders.sandboxes), []);
  assert.deepEqual([...findLeftovers(orders.sandboxes)], []);
  await third.kill();
});

/** The one sandbox that waits for code, once there is one. */
async function waiting({ ask }: Awaited<ReturnType<typeof connect>>, epoch: number): Promise<string> {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    const { sandboxes } = await ask("list", { epoch }, 5_000);
    const found = sandboxes.find((view) => view.state === "pending" && view.epoch === 0);
    if (found !== undefined) return found.sandbox;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail("no sandbox waits in the pool");
}
