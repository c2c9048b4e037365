import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { createRuntimes } from "#platform/agent/index.ts";
import type { Sandbox, SandboxDriver, SandboxExit, SandboxSpec } from "#ports/sandbox/index.ts";
import { createDevRuntimes, oneAtATime } from "./runtimes.ts";
import { withSpares } from "./spares.ts";

const NODE = {
  name: "nodejs",
  version: "24.0.0",
  command: ["node", "--size={memoryMiB}", "guest.mjs"],
  environment: {},
};
const PYTHON = {
  name: "python",
  version: "3.11.7",
  command: ["python3", "-E", "-s", "-S", "guest.pyz"],
  environment: {},
};

/** A driver of sandboxes that only live and end. */
function createDriver() {
  const living: string[] = [];
  const sandboxes = new Map<string, Sandbox>();
  const said: string[] = [];
  const killed: string[] = [];
  async function start({ id, runtime, memoryMiB }: SandboxSpec): Promise<Sandbox> {
    living.push(id);
    said.push(`start ${id}`);
    const gone = Promise.withResolvers<SandboxExit>();
    // Killing is an order: the end comes later.
    const kill = async () => {
      killed.push(id);
      if (!living.includes(id)) return;
      living.splice(living.indexOf(id), 1);
      setImmediate(() => {
        said.push(`end ${id}`);
        gone.resolve({ cause: "stopped", detail: "" });
      });
    };
    const handle = { version: 1, technology: "test", id, runtime: runtime.name, memoryMiB, state: {} } as const;
    const others = { deliver: kill, freeze: kill, thaw: kill, onOutput() {}, memoryMiB: async () => 0 };
    const sandbox = { ...others, id, handle, address: id, kill, gone: gone.promise } as unknown as Sandbox;
    sandboxes.set(id, sandbox);
    return sandbox;
  }
  const driver = { technology: "test", start, open: async () => {}, close: async () => {} } as unknown as SandboxDriver;
  return { driver, living, said, killed, sandboxes };
}

test("a function's own launch has a name of its own, the same as long as it is the same", () => {
  const runtimes = createDevRuntimes(createRuntimes([NODE, PYTHON]));
  assert.equal(runtimes.name("nodejs", "a", {}), "nodejs");
  assert.equal(runtimes.get("nodejs"), NODE);
  const name = runtimes.name("python", "a", { without: ["-E"], environment: { PYTHONPATH: "/x" } });
  assert.notEqual(name, runtimes.name("python", "b", { program: "/venv/bin/python" }));
  const launch = runtimes.get(name)!;
  assert.deepEqual([launch.name, launch.command], ["python", ["python3", "-s", "-S", "guest.pyz"]]);
  assert.deepEqual(launch.environment, { PYTHONPATH: "/x" });
  assert.equal(runtimes.name("python", "a", { without: ["-E"], environment: { PYTHONPATH: "/x" } }), name);
  assert.equal(runtimes.get(name), launch);
  assert.equal(runtimes.exclusiveOf(launch), undefined);
  const inspected = runtimes.get(
    runtimes.name("python", "c", { program: "/venv/bin/python", flags: ["-Xa"], wrapper: "debug.py", exclusive: true }),
  )!;
  assert.deepEqual(inspected.command, ["/venv/bin/python", "-E", "-s", "-S", "-Xa", "debug.py", "guest.pyz"]);
  assert.equal(runtimes.exclusiveOf(inspected), "c");
  const renewed = runtimes.get(runtimes.name("python", "c", { program: "/other/bin/python", exclusive: true }))!;
  assert.deepEqual([runtimes.exclusiveOf(renewed), runtimes.exclusiveOf(inspected)], ["c", "c"]);
});

test("of an exclusive function the last sandbox is gone before the next is started, also with another launch or when both are asked for at once", async () => {
  const { driver, said, living, killed, sandboxes } = createDriver();
  const exclusive = oneAtATime(driver, { exclusiveOf: ({ name }) => (name === "nodejs" ? "f" : undefined) });
  const spec = (id: string, runtime = NODE) => ({ id, runtime, memoryMiB: 64 });
  await Promise.all([
    exclusive.start(spec("1")),
    exclusive.start(spec("2", { ...NODE, environment: { A: "1" } })),
    exclusive.start(spec("3")),
  ]);
  assert.deepEqual(said, ["start 1", "end 1", "start 2", "end 2", "start 3"]);
  await Promise.all([exclusive.start(spec("4", PYTHON)), exclusive.start(spec("5", PYTHON))]);
  assert.deepEqual(living, ["3", "4", "5"]);
  await sandboxes.get("3")!.kill("stopped");
  await sandboxes.get("3")!.gone;
  await new Promise((resolve) => setImmediate(resolve));
  killed.length = 0;
  await exclusive.start(spec("6"));
  assert.deepEqual(killed, [], "one that is gone is not kept");
});

test("after a start a spare is made, which the next start of the same runtime and size takes; one that ended is none", async () => {
  const { driver, said, living, sandboxes } = createDriver();
  const clock = new SimulatedClock();
  const spared = withSpares(driver, { clock, isWanted: ({ memoryMiB }) => memoryMiB > 32 });
  const spec = (id: string, memoryMiB = 64, runtime = NODE) => ({ id, runtime, memoryMiB });
  assert.equal((await spared.start(spec("1"))).id, "1");
  assert.deepEqual(living, ["1"]);
  await clock.advance(1_000);
  assert.deepEqual(living, ["1", "spare-1"]);
  assert.equal((await spared.start(spec("2", 128))).id, "2");
  assert.equal((await spared.start(spec("3", 64, PYTHON))).id, "3");
  const taken = await spared.start(spec("4"));
  assert.equal(taken.id, "spare-1");
  await clock.advance(1_000);
  assert.equal(said.filter((line) => line.startsWith("start spare")).length, 4);
  const again = await spared.start(spec("5"));
  assert.equal(again.id, "spare-4");
  await clock.advance(1_000);
  await sandboxes.get("spare-5")!.kill("stopped");
  await sandboxes.get("spare-5")!.gone;
  assert.equal((await spared.start(spec("6"))).id, "6");
  assert.equal((await spared.start(spec("7", 16))).id, "7");
  await spared.close();
  const before = said.length;
  await clock.advance(1_000);
  assert.equal(said.length, before);
});

test("a spare that is not wanted any more is ended, also one that is being started", async () => {
  const { driver, living } = createDriver();
  const clock = new SimulatedClock();
  let wanted = 64;
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const start = async (spec: SandboxSpec) => {
    if (spec.memoryMiB === 128 && spec.id !== "2") {
      begun.resolve();
      await release.promise;
    }
    return driver.start(spec);
  };
  const slow = { ...driver, start };
  const spared = withSpares(slow, { clock, isWanted: ({ memoryMiB }) => memoryMiB === wanted });
  const spec = (id: string) => ({ id, runtime: NODE, memoryMiB: wanted });
  await spared.start(spec("1"));
  await clock.advance(1_000);
  spared.trim();
  assert.deepEqual(living, ["1", "spare-1"]);
  wanted = 128;
  spared.trim();
  assert.deepEqual(living, ["1"]);
  await spared.start(spec("2"));
  await clock.advance(1_000);
  await begun.promise;
  wanted = 256;
  spared.trim();
  release.resolve();
  await clock.advance(1_000);
  assert.deepEqual(living, ["1", "2"]);
});
