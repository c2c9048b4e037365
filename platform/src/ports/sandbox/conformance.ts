import assert from "node:assert/strict";
import { afterEach, beforeEach, type TestContext, test } from "node:test";
import type { Network } from "#base/link/link.ts";
import { PlatformError } from "#contract/errors.ts";
import { INTERNET } from "#contract/network/policy.ts";
import type {
  Bundle,
  RuntimeLaunch,
  Sandbox,
  SandboxCapabilities,
  SandboxDriver,
  SandboxHandle,
  SandboxSpec,
} from "./sandbox.ts";
import { GuestSession } from "./testing/guest-session.ts";

/** One machine with nothing on it, as the suite needs it. */
export interface SandboxFixture {
  /** Not opened. */
  readonly driver: SandboxDriver;
  readonly network: Network;
  /** A guest for Node functions. */
  readonly runtime: RuntimeLaunch;
  /** Holds the functions beside this file (testing/functions). */
  readonly bundle: Bundle;
  /** The same order, so changed that its start will fail. */
  broken(spec: SandboxSpec): SandboxSpec;
  /** Another driver for the same sandboxes, as the next agent makes one. Not opened. */
  again(): SandboxDriver;
  /** Starts a sandbox in a process of its own and kills that with SIGKILL; where guests live in this process, forgets the driver. */
  startAndDie(spec: SandboxSpec): Promise<SandboxHandle>;
  /** Waits, and lets time pass where time is simulated. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** Whether a process started by a function still runs; undefined where functions have no processes. */
  readonly isRunning?: (pid: number) => boolean;
  /** What is there that only a sandbox can have left: processes, files, sockets. */
  leftovers(): Promise<readonly string[]>;
  /** Closes what the fixture opened, and removes its folder. */
  remove(): Promise<void>;
}

export interface SandboxSuite {
  readonly name: string;
  readonly capabilities: SandboxCapabilities;
  make(): Promise<SandboxFixture>;
}

const MEMORY_MIB = 128;
/** For what must not happen: long against what it takes where it does. */
const NEVER_MS = 150;

/** Every driver runs this. */
export function testSandboxDriver(suite: SandboxSuite): void {
  const stage = createStage(suite);
  testStarting(stage);
  testEnding(stage);
  testFreezing(stage);
  testOutliving(stage);
}

type Stage = ReturnType<typeof createStage>;

/** A machine and an opened driver, made anew for each test and cleared away after it. */
function createStage(suite: SandboxSuite) {
  let fixture: SandboxFixture;
  let driver: SandboxDriver;
  const drivers: SandboxDriver[] = [];
  const sessions: GuestSession[] = [];
  let ids = 0;

  beforeEach(async () => {
    fixture = await suite.make();
    driver = await opened(fixture.driver);
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.close();
    for (const used of drivers.splice(0)) await used.close();
    await fixture.remove();
  });

  async function opened(fresh: SandboxDriver): Promise<SandboxDriver> {
    drivers.push(fresh);
    await fixture.settle(fresh.open(AbortSignal.timeout(10_000)));
    return fresh;
  }

  const spec = (): SandboxSpec => ({ id: `sandbox-${++ids}`, runtime: fixture.runtime, memoryMiB: MEMORY_MIB });
  const start = () => fixture.settle(driver.start(spec()));

  function session(sandbox: Sandbox): GuestSession {
    const made = new GuestSession(fixture.network, sandbox.address);
    sessions.push(made);
    return made;
  }

  /** A guest that waits for code is given the bundle, to run one of its functions. */
  async function load(sandbox: Sandbox, handler: string): Promise<GuestSession> {
    const guest = session(sandbox);
    assert.equal(await fixture.settle(guest.greet()), "pending");
    const code = await fixture.settle(sandbox.deliver(fixture.bundle, INTERNET));
    assert.equal(code.kind, suite.capabilities.deliver);
    await fixture.settle(guest.load(code, fixture.bundle.read, handler, MEMORY_MIB));
    return guest;
  }

  async function ready(handler: string): Promise<{ sandbox: Sandbox; guest: GuestSession }> {
    const sandbox = await start();
    return { sandbox, guest: await load(sandbox, handler) };
  }

  async function nothingLeft(): Promise<void> {
    assert.deepEqual(await fixture.leftovers(), []);
  }

  const define = (title: string, run: (context: TestContext) => Promise<void>) => test(`${suite.name}: ${title}`, run);
  return {
    ...{ suite, opened, spec, start, session, load, ready, nothingLeft, define },
    get fixture() {
      return fixture;
    },
    get driver() {
      return driver;
    },
  };
}

/** What a sandbox is for. */
function testStarting(stage: Stage): void {
  const { define, spec, ready, nothingLeft } = stage;
  define("claims what the suite was told, and works here", async () => {
    assert.deepEqual(stage.driver.capabilities, stage.suite.capabilities);
    assert.equal((await stage.driver.probe()).works, true);
  });

  define("start, deliver, load, invoke; kill leaves nothing, and works twice", async () => {
    const { sandbox, guest } = await ready("echo.mjs");
    assert.deepEqual(await stage.fixture.settle(guest.invoke("héllo")), { kind: "answer", text: "héllo" });
    assert.equal(sandbox.handle.version, 1);
    assert.deepEqual(JSON.parse(JSON.stringify(sandbox.handle)), sandbox.handle);
    await stage.fixture.settle(sandbox.kill("idle"));
    await stage.fixture.settle(sandbox.kill("stopped"));
    assert.equal((await stage.fixture.settle(sandbox.gone)).cause, "idle");
    await nothingLeft();
  });

  define("a start that fails says why and leaves nothing", async () => {
    await assert.rejects(stage.fixture.settle(stage.driver.start(stage.fixture.broken(spec()))), (error) => {
      assert.ok(error instanceof PlatformError, String(error));
      assert.equal(error.code, "start-failed");
      assert.ok(error.message.includes(stage.fixture.runtime.name), error.message);
      return true;
    });
    await nothingLeft();
  });

  define("sandboxes do not share a guest", async () => {
    const [one, other] = [await ready("echo.mjs"), await ready("echo.mjs")];
    assert.notEqual(one.sandbox.address, other.sandbox.address);
    await stage.fixture.settle(one.sandbox.kill("stopped"));
    await stage.fixture.settle(one.sandbox.gone);
    assert.deepEqual(await stage.fixture.settle(other.guest.invoke("still here")), {
      kind: "answer",
      text: "still here",
    });
  });
}

/** Every way in which a guest can end. */
function testEnding(stage: Stage): void {
  const { define, ready, nothingLeft } = stage;
  define("a guest that exits is gone with its code, and leaves nothing", async () => {
    const { sandbox, guest } = await ready("exit.mjs");
    assert.deepEqual(await stage.fixture.settle(guest.invoke("")), { kind: "cut" });
    assert.deepEqual(await stage.fixture.settle(sandbox.gone), { cause: "exited", detail: "exited with code 3" });
    await nothingLeft();
  });

  define("a guest that hangs answers no ping and can be killed", async () => {
    const { sandbox, guest } = await ready("spin.mjs");
    await stage.fixture.settle(guest.ping());
    const answer = guest.invoke("");
    assert.equal(await settledWithin(stage.fixture, answer), false);
    assert.equal(await settledWithin(stage.fixture, guest.ping()), false);
    await stage.fixture.settle(sandbox.kill("killed"));
    assert.equal((await stage.fixture.settle(sandbox.gone)).cause, "killed");
    assert.deepEqual(await stage.fixture.settle(answer), { kind: "cut" });
    await nothingLeft();
  });

  define("a memory limit that is claimed holds", async (context) => {
    if (stage.suite.capabilities.limits.memory === "none") return context.skip("not claimed");
    const { sandbox, guest } = await ready("eat.mjs");
    void guest.invoke("");
    const exit = await stage.fixture.settle(sandbox.gone);
    assert.deepEqual(exit, { cause: "out-of-memory", detail: `out of memory at ${MEMORY_MIB} MiB` });
    await nothingLeft();
  });

  define("kill takes the processes of the function with it", async (context) => {
    const { isRunning } = stage.fixture;
    if (isRunning === undefined) return context.skip("functions have no processes");
    const { sandbox, guest } = await ready("child.mjs");
    const answer = await stage.fixture.settle(guest.invoke(""));
    const pid = Number(answer.kind === "answer" && answer.text);
    assert.equal(isRunning(pid), true);
    await stage.fixture.settle(sandbox.kill("stopped"));
    await stage.fixture.settle(sandbox.gone);
    assert.equal(isRunning(pid), false);
    await nothingLeft();
  });
}

/** Where it is claimed. */
function testFreezing(stage: Stage): void {
  const { define, ready, nothingLeft } = stage;
  define("a frozen guest does nothing, and goes on where it was", async (context) => {
    if (!stage.suite.capabilities.freeze) return context.skip("not claimed");
    const { sandbox, guest } = await ready("echo.mjs");
    await stage.fixture.settle(sandbox.freeze());
    const pong = guest.ping();
    assert.equal(await settledWithin(stage.fixture, pong), false);
    await stage.fixture.settle(sandbox.thaw());
    await stage.fixture.settle(pong);
    assert.deepEqual(await stage.fixture.settle(guest.invoke("back")), { kind: "answer", text: "back" });
    await stage.fixture.settle(sandbox.freeze());
    await stage.fixture.settle(sandbox.kill("stopped"));
    assert.equal((await stage.fixture.settle(sandbox.gone)).cause, "stopped");
    await nothingLeft();
  });
}

/** The driver dies with the agent; sandboxes do not. */
function testOutliving(stage: Stage): void {
  const { define, spec, start, session, load, opened, nothingLeft } = stage;
  define("a sandbox outlives the driver that started it, and its end is told to the next", async () => {
    const handle = await stage.fixture.startAndDie(spec());
    const next = await opened(stage.fixture.again());
    const sandbox = await stage.fixture.settle(next.recover(JSON.parse(JSON.stringify(handle))));
    assert.ok(sandbox !== undefined);
    assert.deepEqual(sandbox.handle, handle);
    assert.equal(await next.reap([handle]), 0);
    const guest = await load(sandbox, "exit.mjs");
    void guest.invoke("");
    assert.deepEqual(await stage.fixture.settle(sandbox.gone), { cause: "exited", detail: "exited with code 3" });
    await nothingLeft();
  });

  define("what is gone is not recovered, and what no handle names is reaped", async () => {
    const [gone, kept, stray] = [await start(), await start(), await start()];
    await stage.fixture.settle(gone.kill("stopped"));
    await stage.fixture.settle(gone.gone);
    await stage.driver.close();
    const next = await opened(stage.fixture.again());
    assert.equal(await stage.fixture.settle(next.recover(gone.handle)), undefined);
    const recovered = await stage.fixture.settle(next.recover(kept.handle));
    assert.equal(await stage.fixture.settle(next.reap([kept.handle])), 1);
    assert.equal(await stage.fixture.settle(session(recovered!).greet()), "pending");
    assert.equal(await stage.fixture.settle(next.recover(stray.handle)), undefined);
    await stage.fixture.settle(recovered!.kill("stopped"));
    await stage.fixture.settle(recovered!.gone);
    await nothingLeft();
  });

  define("all that was started or recovered here ends at once, and nothing is left of it", async () => {
    const handle = await stage.fixture.startAndDie(spec());
    const next = await opened(stage.fixture.again());
    const recovered = (await stage.fixture.settle(next.recover(handle)))!;
    await next.reap([handle]);
    const started = await stage.fixture.settle(next.start(spec()));
    await stage.fixture.settle(next.endAll());
    for (const sandbox of [recovered, started])
      assert.ok(await settledWithin(stage.fixture, sandbox.gone), "it does not tell its end");
    await stage.fixture.settle(next.endAll());
    await nothingLeft();
  });

  define("close works twice, and after a failed open", async () => {
    await stage.driver.close();
    await stage.driver.close();
    const fresh = stage.fixture.again();
    await assert.rejects(fresh.open(AbortSignal.abort(new Error("no"))));
    await fresh.close();
  });
}

async function settledWithin(fixture: SandboxFixture, promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.then(() => {
    settled = true;
  });
  await fixture.settle(new Promise<void>((resolve) => setTimeout(resolve, NEVER_MS)));
  return settled;
}
