import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type Clock, createSystemClock } from "#base/clock.ts";
import { createFreezer } from "#base/frozen.fixture.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import type { PlatformError } from "#contract/errors.ts";
import { bundleGuests } from "#guest/bundle.ts";
import type { SandboxDriver, SandboxSpec } from "#ports/sandbox/index.ts";
import { inspectCgroups } from "./cgroups/inspect.ts";
import { nodeRuntime, openMachine } from "./machine.fixture.ts";
import { hostState, NOTHING, newHome, whyNotHere } from "./network/fake-internet.fixture.ts";
import { createSandboxNetworks, type SandboxNetworks } from "./network/networks.ts";
import { enterOwnMounts, SANDBOX_PLACE } from "./own-mounts.ts";
import { probeContainers } from "./probe.ts";

const HURRY = 20;
const PLACE_ELSEWHERE = join(SANDBOX_PLACE, "elsewhere");

if (process.getuid?.() === 0) await enterOwnMounts();
const guests = mkdtempSync(join(tmpdir(), "colibri-guests-"));
process.once("exit", () => rmSync(guests, { recursive: true, force: true }));
const guest = (await bundleGuests(guests)).nodejs;
const probe = await probeContainers({ wanted: undefined, searchPath: process.env.PATH ?? "" });
const skip = probe.works ? whyNotHere() : `${probe.reason}. ${probe.remedy}`;

/** What goes wrong with one sandbox is not the others' trouble, nor the agent's. */
describe("container, in trouble", { skip, timeout: 60_000 }, () => {
  let ids = 0;
  const spec = (): SandboxSpec => ({ id: `troubled-${++ids}`, runtime: nodeRuntime(guest), memoryMiB: 128 });

  async function stage(t: TestContext) {
    assert.ok(probe.works);
    const machine = await openMachine(probe.runtime);
    const drivers: SandboxDriver[] = [];
    t.after(async () => {
      for (const driver of drivers) await driver.close();
      await machine.close();
      assert.deepEqual(machine.leftovers(), []);
    });
    const opened = async (...changed: Parameters<typeof machine.createDriver>) => {
      const driver = machine.createDriver(...changed);
      drivers.push(driver);
      await driver.open(AbortSignal.timeout(10_000));
      return driver;
    };
    return { machine, opened };
  }

  function networksOf(home: string, folder: string): SandboxNetworks {
    const deps = { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog() };
    return createSandboxNetworks(deps, { home, folder, poolSize: 0 });
  }

  test("a process that can't be killed keeps nobody from recovering and reaping", async (t) => {
    const freezer = createFreezer("trouble");
    if (typeof freezer === "string") return t.skip(freezer);
    const { machine, opened } = await stage(t);
    t.after(() => {
      execFileSync("umount", [join(PLACE_ELSEWHERE, "devices")]);
      rmSync(PLACE_ELSEWHERE, { recursive: true, force: true });
    });
    const first = await opened();
    const [stuck, stray] = [await first.start(spec()), await first.start(spec())];
    const pid = Number(stuck.handle.state.pid);
    freezer.freeze(pid);
    try {
      await first.close();
      // As if the platform had died as a whole: nothing of its mounts is there.
      const next = await opened({ clock: hurried(createSystemClock()) }, { place: PLACE_ELSEWHERE });
      assert.equal(await next.recover(stuck.handle), undefined);
      assert.equal(await next.reap([]), 2);
      assert.ok(existsSync(`/proc/${pid}`), "it could be killed: nothing was tried");
      assert.ok(isGone(stray.handle.state.pid), "the other was not removed");
      assert.ok(machine.leftovers().some((left) => left.includes(stuck.id)));
    } finally {
      freezer.thaw();
      await freezer.remove();
    }
  });

  test("a sandbox whose network is lost is removed instead of recovered", async (t) => {
    const { machine, opened } = await stage(t);
    const home = newHome();
    const networks = () => networksOf(home, machine.home);
    const first = await opened({ networks: networks() });
    const [kept, lost] = [await first.start(spec()), await first.start(spec())];
    await first.close();
    const name = String(lost.handle.state.network);
    execFileSync("ip", ["netns", "del", name]);
    const next = await opened({ networks: networks() });
    const recovered = await next.recover(kept.handle);
    assert.equal(await next.recover(lost.handle), undefined);
    assert.ok(isGone(lost.handle.state.pid));
    assert.equal(await next.reap([kept.handle]), 0);
    assert.deepEqual(hostState(name), NOTHING);
    await recovered!.kill("stopped");
    await recovered!.gone;
    await next.close();
    assert.deepEqual(hostState(home), NOTHING);
  });

  test("what another version noted of a sandbox is no reason not to open", async (t) => {
    const { opened } = await stage(t);
    const first = await opened();
    const old = await first.start(spec());
    await first.close();
    const next = await opened();
    assert.equal(await next.recover({ ...old.handle, state: { pid: old.handle.state.pid } }), undefined);
    assert.ok(isGone(old.handle.state.pid));
  });

  test("an end is told for what it was: an exit with a signal's code, a signal, and want of memory that was survived", async (t) => {
    const { opened } = await stage(t);
    const driver = await opened();
    const starve = "const eat = 'const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1))';";
    const child = `${starve} require("child_process").spawnSync(process.execPath, ["-e", eat]);`;
    const found = inspectCgroups();
    const survives = found.kind !== "unusable" && found.version === "v1";
    const exited = (code: number) => ({ cause: "exited", detail: `exited with code ${code}` });
    const killed = { cause: "killed", detail: "was killed by SIGKILL", fromOutside: true };
    for (const [program, expected] of [
      ["process.exit(137)", exited(137)],
      ["process.exit(143)", exited(143)],
      ...(survives ? ([5, 137] as const).map((code) => [`${child} process.exit(${code})`, exited(code)] as const) : []),
      ["process.kill(process.pid, 'SIGKILL'); setInterval(() => {}, 1000)", killed],
      [
        "process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)",
        { cause: "killed", detail: "was killed by SIGTERM" },
      ],
    ] as const) {
      const listen = `require("net").createServer((socket) => socket.on("data", () => { ${program} })).listen("guest.sock")`;
      const { runtime, ...rest } = spec();
      const sandbox = await driver.start({
        ...rest,
        runtime: { ...runtime, command: [process.execPath, "-e", listen] },
      });
      createConnection(sandbox.address)
        .on("error", () => {})
        .end("now");
      assert.deepEqual(await sandbox.gone, expected, program);
    }
  });

  test("a start without a network fails as a start, and keeps nothing", async (t) => {
    const { machine, opened } = await stage(t);
    const refusal = new Error("all networks of this host are in use");
    const networks = { ...noNetworks(), take: () => Promise.reject(refusal) };
    const driver = await opened({ networks });
    await assert.rejects(driver.start(spec()), isStartFailed(refusal));
    assert.deepEqual(machine.leftovers(), []);
  });

  test("where a failed start can't be cleared away, its network is given back all the same, and its cause told", async (t) => {
    const { machine } = await stage(t);
    let released = 0;
    const taken = { ...NO_NETWORK, release: async () => void released++ };
    // Not open: it can neither start nor remove.
    const driver = machine.createDriver({ networks: { ...noNetworks(), take: async () => taken } });
    await assert.rejects(driver.start(spec()), (error: PlatformError) => {
      assert.equal(error.code, "start-failed");
      assert.match(error.message, /is not open/);
      return true;
    });
    assert.equal(released, 1);
  });

  test("a network that can't be removed keeps no other from being reaped, and is reaped when it can be", async (t) => {
    const home = newHome();
    const folder = mkdtempSync(join(tmpdir(), "colibri-networks-"));
    t.after(() => rmSync(folder, { recursive: true }));
    // No program removes a folder as it does a pin.
    const pin = `/run/netns/colibri-${home}-7`;
    mkdirSync(pin, { recursive: true });
    t.after(() => rmSync(pin, { recursive: true, force: true }));
    for (const expected of [0, 1]) {
      const networks = networksOf(home, folder);
      await networks.open(AbortSignal.timeout(10_000));
      assert.equal(await networks.reap([]), expected);
      const taken = await networks.take();
      await taken.release();
      await networks.close();
      rmSync(pin, { recursive: true, force: true });
      mkdirSync("/run/netns", { recursive: true });
      if (expected === 0) execFileSync("touch", [pin]);
    }
    assert.deepEqual(hostState(home), NOTHING);
  });
});

/** Whose seconds are twentieths: for who waits long for what does not happen. */
function hurried(clock: Clock): Clock {
  return {
    ...clock,
    monotonic: () => clock.monotonic() * HURRY,
    after: (delayMs, action) => clock.after(delayMs / HURRY, action),
  };
}

const NO_NETWORK = {
  name: "none",
  path: "/none",
  address: "",
  nameserver: "",
  apply: async () => {},
  release: async () => {},
};

/** For starts that fail before they have one. */
function noNetworks(): SandboxNetworks {
  return {
    open: async () => {},
    take: async () => NO_NETWORK,
    recover: async () => undefined,
    reap: async () => 0,
    close: async () => {},
  };
}

function isStartFailed(cause: Error): (error: PlatformError) => boolean {
  return (error) => {
    assert.equal(error.code, "start-failed");
    assert.equal(error.cause, cause);
    assert.ok(error.message.includes(cause.message), error.message);
    return true;
  };
}

/** Or ended, and not yet told. */
function isGone(pid: unknown): boolean {
  return !existsSync(`/proc/${pid}/stat`) || / Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}
