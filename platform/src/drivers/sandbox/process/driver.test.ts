import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createSystemClock, sleep } from "#base/clock.ts";
import { createFreezer } from "#base/frozen.fixture.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { readStat } from "#base/process-group.ts";
import { createSystemRandom } from "#base/random.ts";
import { INTERNET } from "#contract/network/policy.ts";
import { spawnerRequests } from "#contract/spawner/link.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { type SandboxFixture, testSandboxDriver } from "#ports/sandbox/conformance.ts";
import type { Sandbox, SandboxDriver, SandboxHandle, SandboxSpec } from "#ports/sandbox/index.ts";
import { GuestSession } from "#ports/sandbox/testing/guest-session.ts";
import { createProcessDriver } from "./driver.ts";
import { findLeftovers } from "./leftovers.ts";

const clock = createSystemClock();
const network = createSocketNetwork();
const deps = { network, clock, random: createSystemRandom(), log: createSilentLog() };
const path = (url: string) => fileURLToPath(new URL(url, import.meta.url));
const holder = path("./holder.fixture.ts");
const functions = path("../../../ports/sandbox/testing/functions");

/** The real guests, made once for all tests. */
let guest = "";
let pythonGuest = "";
const guests = mkdtempSync(join(tmpdir(), "colibri-guests-"));
before(async () => {
  const bundled = await bundleGuests(guests);
  guest = bundled.nodejs;
  pythonGuest = bundled.python ?? "";
});
after(() => rmSync(guests, { recursive: true }));

interface ProcessFixture extends SandboxFixture {
  /** The spawner's children stay, unwatched. */
  killSpawner(): Promise<void>;
  startSpawner(): Promise<void>;
  readonly folder: string;
}

async function make(): Promise<ProcessFixture> {
  const home = mkdtempSync(join(tmpdir(), "colibri-process-"));
  const options = { folder: join(home, "sandboxes"), spawner: join(home, "spawner.sock"), sampleMs: 50, killMs: 500 };
  let spawner = await openSpawner(options.spawner);

  async function startAndDie(spec: SandboxSpec): Promise<SandboxHandle> {
    const child = spawn(process.execPath, [holder, JSON.stringify({ spec, options })], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
    child.kill("SIGKILL");
    await exited;
    return JSON.parse(line);
  }

  return {
    driver: createProcessDriver(deps, options),
    network,
    runtime: {
      name: "nodejs",
      command: [process.execPath, "--max-old-space-size={memoryMiB}", guest],
      environment: {},
    },
    bundle: { digest: `sha256:${"0".repeat(64)}`, bytes: 0, folder: functions, async *read() {} },
    broken: (spec) => ({
      ...spec,
      runtime: { ...spec.runtime, command: [process.execPath, "-e", "throw Error('no')"] },
    }),
    again: () => createProcessDriver(deps, options),
    startAndDie,
    settle: (promise) => promise,
    folder: options.folder,
    killSpawner: () => spawner.kill(),
    async startSpawner() {
      spawner = await openSpawner(options.spawner);
    },
    isRunning,
    leftovers: async () => [
      ...readdirSync(options.folder),
      ...[...findLeftovers(options.folder)].map(([id, left]) => `${id}: ${left.map(({ pid }) => pid)}`),
    ],
    async remove() {
      await spawner.close();
      rmSync(home, { recursive: true });
    },
  };
}

function isRunning(pid: number): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.state !== "Z";
}

testSandboxDriver({
  name: "process",
  capabilities: {
    isolation: "none",
    deliver: "mount",
    freeze: true,
    network: false,
    limits: { memory: "watched", cpu: "none", processes: "none" },
  },
  make,
});

/** In a process of its own, so that it can be killed. */
async function openSpawner(address: string) {
  const child = spawn(process.execPath, [path("../spawned/spawner.fixture.ts"), address], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await once(child.stdout!, "data");
  return {
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
    async close() {
      child.stdin!.end();
      await exited;
    },
  };
}

async function withDriver(run: (fixture: ProcessFixture, driver: SandboxDriver) => Promise<void>): Promise<void> {
  const fixture = await make();
  try {
    await fixture.driver.open(AbortSignal.timeout(5_000));
    await run(fixture, fixture.driver);
  } finally {
    await fixture.driver.close();
    await fixture.remove();
  }
}

async function ready(fixture: ProcessFixture, sandbox: Sandbox, handler: string): Promise<GuestSession> {
  const session = new GuestSession(network, sandbox.address);
  await session.greet();
  await session.load(
    await sandbox.deliver(fixture.bundle, INTERNET),
    fixture.bundle.read,
    handler,
    sandbox.handle.memoryMiB,
  );
  return session;
}

test("process: a heap that V8 gives up on is out of memory too", () =>
  withDriver(async (fixture, driver) => {
    const runtime = {
      ...fixture.runtime,
      command: fixture.runtime.command.map((part) => part.replace("{memoryMiB}", "24")),
    };
    const sandbox = await driver.start({ id: "a", runtime, memoryMiB: 512 });
    void (await ready(fixture, sandbox, "heap.mjs")).invoke("");
    assert.deepEqual(await sandbox.gone, { cause: "out-of-memory", detail: "out of memory at 512 MiB" });
  }));

test("process: a guest has its own folder and environment, and nothing of the platform's", () =>
  withDriver(async (fixture, driver) => {
    const { handle, address } = await driver.start({ id: "a", runtime: fixture.runtime, memoryMiB: 128 });
    const environment = readFileSync(`/proc/${handle.state.pid}/environ`, "utf8").split("\0").slice(0, -1);
    assert.deepEqual(environment.map((entry) => entry.split("=")[0]).sort(), ["HOME", "LANG", "PATH", "TMPDIR"]);
    const folder = readlinkSync(`/proc/${handle.state.pid}/cwd`);
    assert.equal(join(folder, "guest.sock"), address);
    assert.ok(environment.includes(`HOME=${join(folder, "tmp")}`));
  }));

test("process: sandboxes outlive their spawner too; the next one adopts them, and what died meanwhile is told", () =>
  withDriver(async (fixture, driver) => {
    const [stays, dies] = await Promise.all(
      ["stays", "dies"].map((id) => driver.start({ id, runtime: fixture.runtime, memoryMiB: 128 })),
    );
    const session = await ready(fixture, stays!, "echo.mjs");
    await fixture.killSpawner();
    process.kill(Number(dies!.handle.state.pid), "SIGKILL");
    await fixture.startSpawner();
    assert.match((await dies!.gone).detail, /how is not known/);
    assert.deepEqual(await session.invoke("here"), { kind: "answer", text: "here" });
    await stays!.kill("idle");
    assert.equal((await stays!.gone).cause, "idle");
    assert.deepEqual(await fixture.leftovers(), []);
  }));

test("process: a start goes through although its spawner is killed under it", () =>
  withDriver(async (fixture, driver) => {
    const starting = driver.start({ id: "a", runtime: fixture.runtime, memoryMiB: 128 });
    await fixture.killSpawner();
    await fixture.startSpawner();
    const sandbox = await starting;
    assert.deepEqual(await (await ready(fixture, sandbox, "echo.mjs")).invoke("up"), { kind: "answer", text: "up" });
    await sandbox.kill("stopped");
    await sandbox.gone;
    assert.deepEqual(await fixture.leftovers(), []);
  }));

for (const runtime of ["nodejs", "python"] as const)
  test(`process: what a ${runtime} function detaches goes with its sandbox, however that ends`, () =>
    withDriver(async (fixture, driver) => {
      const python = { name: "python", command: ["/usr/bin/env", "python3", pythonGuest], environment: {} };
      const launch = runtime === "nodejs" ? fixture.runtime : python;
      const handler = runtime === "nodejs" ? "detach.mjs" : "detach.py#handler";
      const detach = async (sandbox: Sandbox, how: string) => {
        const answer = await (await ready(fixture, sandbox, handler)).invoke(how);
        assert.equal(answer.kind, "answer");
        const pid = Number(answer.kind === "answer" && answer.text);
        assert.equal(readStat(pid)?.group, pid, JSON.stringify(answer));
        return pid;
      };
      const [killed, hidden, ended, neighbour] = await Promise.all(
        ["a", "b", "c", "d"].map((id) => driver.start({ id, runtime: launch, memoryMiB: 128 })),
      );
      const pids = [await detach(killed!, ""), await detach(hidden!, "hidden"), await detach(ended!, "")];
      const stays = await detach(neighbour!, "");
      await Promise.all([killed!.kill("idle"), hidden!.kill("idle")]);
      process.kill(Number(ended!.handle.state.pid), "SIGKILL");
      await Promise.all([killed!.gone, hidden!.gone, ended!.gone]);
      assert.deepEqual(pids.map(isRunning), [false, false, false]);
      assert.ok(isRunning(stays));
      await neighbour!.kill("idle");
      await neighbour!.gone;
      assert.ok(!isRunning(stays));
      assert.deepEqual(await fixture.leftovers(), []);
    }));

test("process: what was detached goes at the next start, and when no spawner saw the end", () =>
  withDriver(async (fixture, driver) => {
    const [first, second] = await Promise.all(
      ["a", "b"].map((id) => driver.start({ id, runtime: fixture.runtime, memoryMiB: 128 })),
    );
    const detached = [];
    for (const sandbox of [first!, second!]) {
      const answer = await (await ready(fixture, sandbox, "detach.mjs")).invoke("");
      detached.push(Number(answer.kind === "answer" && answer.text));
    }
    await fixture.killSpawner();
    process.kill(Number(first!.handle.state.pid), "SIGKILL");
    await first!.gone;
    assert.deepEqual(detached.map(isRunning), [false, true]);
    await driver.close();
    process.kill(Number(second!.handle.state.pid), "SIGKILL");
    await fixture.startSpawner();
    const next = fixture.again();
    await next.open(AbortSignal.timeout(5_000));
    assert.equal(await next.reap([]), 1);
    assert.deepEqual(detached.map(isRunning), [false, false]);
    await next.close();
  }));

test("process: what can't be killed is let go, and its folder stays for the next start to try again", (t) => {
  const freezer = createFreezer("process");
  if (typeof freezer === "string") return t.skip(freezer);
  t.after(() => freezer.remove());
  return withDriver(async (fixture, driver) => {
    const { handle } = await driver.start({ id: "a", runtime: fixture.runtime, memoryMiB: 128 });
    const pid = Number(handle.state.pid);
    freezer.freeze(pid);
    await driver.close();
    const next = fixture.again();
    await next.open(AbortSignal.timeout(5_000));
    assert.equal(await next.reap([]), 1);
    assert.deepEqual(readdirSync(fixture.folder), ["a"]);
    assert.equal(readStat(pid)?.state, "D");
    await next.close();
    freezer.thaw();
    while (readStat(pid) !== undefined) await sleep(clock, 5);
    const last = fixture.again();
    await last.open(AbortSignal.timeout(5_000));
    assert.equal(await last.reap([]), 1);
    assert.deepEqual(await fixture.leftovers(), []);
    await last.close();
  });
});

test("process: what a spawner started before it died unanswered is not left behind", async () => {
  const home = mkdtempSync(join(tmpdir(), "colibri-process-"));
  const options = { folder: join(home, "sandboxes"), spawner: join(home, "spawner.sock") };
  let started = 0;
  const listener = await network.listen(options.spawner, ["spawner"], (raw) => {
    const sides = { asks: {}, hears: {}, serves: spawnerRequests, emits: {} };
    const link = new MessageLink({ clock }, sides, {
      serve: {
        list: () => ({ children: [] }),
        async spawn({ cwd, environment }) {
          const child = spawn("/bin/sleep", ["60"], { cwd, env: environment, detached: true, stdio: "ignore" });
          await once(child, "spawn");
          started++;
          raw.close();
          return { pid: child.pid!, startTime: "0" };
        },
        adopt: () => ({ adopted: false }),
        kill: () => ({}),
      },
      hear: {},
      closed: () => {},
    });
    return link.attach(raw).handlers;
  });
  const driver = createProcessDriver(deps, options);
  await driver.open(AbortSignal.timeout(5_000));
  const runtime = { name: "nodejs", command: ["/bin/true"], environment: {} };
  await assert.rejects(driver.start({ id: "a", runtime, memoryMiB: 128 }), /link closed before spawn was answered/);
  assert.equal(started, 2);
  assert.deepEqual([...findLeftovers(options.folder)], []);
  assert.deepEqual(readdirSync(options.folder), []);
  await driver.close();
  await listener.close();
  rmSync(home, { recursive: true });
});
