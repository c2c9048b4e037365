import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, test } from "node:test";
import { createIds } from "#base/ids.ts";
import type { LinkHandlers } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { type AgentEvents, agentEvents, agentRequests } from "#contract/agent/link.ts";
import { PlatformError } from "#contract/errors.ts";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { type RevisionRef, revisionKey } from "#contract/names.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { ReportItem } from "#contract/report/report.ts";
import { type Behaviour, DEFAULT_BEHAVIOUR } from "#drivers/sandbox/simulated/behaviour.ts";
import { createSimulatedDriver, createSimulatedHost } from "#drivers/sandbox/simulated/driver.ts";
import type { LaunchPlans } from "#ports/plans/plans.ts";
import { type Agent, createAgent } from "./agent.ts";
import type { Bundles } from "./bundles.ts";
import { createMemoryHandles } from "./handles.ts";
import { createRuntimes } from "./runtimes.ts";

const THUMB: RevisionRef = { tenant: "default", app: "shop", function: "thumb", revision: "r1" };
const CODE = Buffer.alloc(200_000, "code");
const DIGEST = `sha256:${createHash("sha256").update(CODE).digest("hex")}` as const;
const GRANT_MS = 9_000;

function specOf(revision: RevisionRef, given: Partial<LaunchSpec> = {}): LaunchSpec {
  return {
    ...revision,
    ...{ runtime: "nodejs", handler: "index.mjs", execution: "loop", bundle: { digest: DIGEST, bytes: CODE.length } },
    ...{ memoryMiB: 128, concurrency: 2, timeoutMs: 1_000, initTimeoutMs: 500, environment: {}, sealedSecrets: [] },
    ...given,
  };
}

function createPlans(): LaunchPlans & { put(spec: LaunchSpec): void } {
  const plans = new Map<string, LaunchSpec>();
  let listener: (key: string, spec: LaunchSpec | undefined) => void = () => {};
  return {
    open: async () => {},
    close: async () => {},
    get: (key) => plans.get(key),
    entries: () => plans.entries(),
    onChange(heard) {
      listener = heard;
    },
    ready: true,
    put(spec) {
      plans.set(revisionKey(spec), spec);
      listener(revisionKey(spec), spec);
    },
  };
}

/** Counts who holds what. */
function createTestBundles(): Bundles & { held: number; fetched: Promise<unknown> } {
  const bundles = {
    held: 0,
    fetched: Promise.resolve<unknown>(undefined),
    digests: () => [DIGEST],
    async hold() {
      await bundles.fetched;
      bundles.held++;
      let held = true;
      const release = () => {
        if (held) bundles.held--;
        held = false;
      };
      return { digest: DIGEST, bytes: CODE.length, folder: "/nowhere", read, release };
    },
  };
  async function* read() {
    for (let start = 0; start < CODE.length; start += 50_000) yield CODE.subarray(start, start + 50_000);
  }
  return bundles;
}

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0)) await close();
});

/** A host with simulated sandboxes whose agent can be replaced. */
async function createWorld(behaviour: Partial<Behaviour> = {}) {
  const clock = new SimulatedClock();
  const random = createSeededRandom(7);
  const wires = createSimulatedNetwork(clock, random, { delayMs: [0.1, 0.3] });
  let dials = 0;
  const network: typeof wires = {
    ...wires,
    dial(address, kind, handlers) {
      if (kind === "control") dials++;
      return wires.dial(address, kind, handlers);
    },
  };
  const settings = { behaviour: { ...DEFAULT_BEHAVIOUR, ...behaviour } };
  const started: number[] = [];
  const host = createSimulatedHost(
    { network, clock, random },
    {
      ...{ prefix: "guest:", startMs: [20, 30], startFails: 0, behaviourOf: () => settings.behaviour },
      observer: { started: (_, active) => void started.push(active) },
    },
  );
  const items: ReportItem[] = [];
  const handles = createMemoryHandles();
  const bundles = createTestBundles();
  const plans = createPlans();
  plans.put(specOf(THUMB));
  let agent: Agent | undefined;

  async function boot(): Promise<Agent> {
    await agent?.close();
    const telemetry = {
      open: async () => {},
      close: async () => {},
      add: (item: ReportItem) => void items.push(item),
      dropped: 0,
    };
    const runtimes = createRuntimes([{ name: "nodejs", version: "24", command: [], environment: {} }]);
    const ids = createIds(clock, createSeededRandom(Math.floor(clock.now())));
    agent = createAgent(
      {
        network,
        clock,
        random,
        ids,
        log: createSilentLog(),
        driver: createSimulatedDriver(host),
        launches: plans,
        telemetry,
        bundles,
        runtimes,
        handles,
      },
      {
        name: "agent-1",
        host: "here",
        labels: { zone: "a" },
        address: "agent",
        capacityMiB: 512,
        grantMs: GRANT_MS,
        logEntriesPerSecond: 100,
      },
    );
    const opening = agent.open(new AbortController().signal);
    await clock.advance(5);
    await opening;
    return agent;
  }

  /** An owner that has said hello and renews its grants. */
  async function owner(name = "gw1", epoch = 1, beats = true) {
    const told: { [K in keyof AgentEvents]: [K, AgentEvents[K]] }[keyof AgentEvents][] = [];
    const hear = Object.fromEntries(
      Object.keys(agentEvents).map((event) => [event, (value: never) => void told.push([event, value] as never)]),
    );
    let closed = false;
    const link = new MessageLink(
      { clock },
      { asks: agentRequests, hears: agentEvents, serves: {}, emits: {} },
      {
        serve: {},
        hear: hear as never,
        closed: () => {
          closed = true;
        },
      },
    );
    const ask = async <K extends keyof typeof agentRequests>(request: K, value: object) => {
      const answered = link.ask(request, { epoch, ...value } as never, 60_000);
      answered.catch(() => {});
      let settled = false;
      void answered.then(
        () => (settled = true),
        () => (settled = true),
      );
      for (let waited = 0; !settled && waited < 60_000; waited += 10) await clock.advance(10);
      return answered;
    };
    const dialing = network.dial("agent", "agent", link.handlers);
    await clock.advance(2);
    link.attach(await dialing);
    const hello = await ask("hello", { owner: name });
    const beat = () => {
      if (closed || !beats) return;
      link.ask("heartbeat", { epoch }, 1_000).catch(() => {});
      clock.after(GRANT_MS / 3, beat);
    };
    clock.after(GRANT_MS / 3, beat);
    const of = <K extends keyof AgentEvents>(kind: K) =>
      told.flatMap(([event, value]) => (event === kind ? [value as AgentEvents[K]] : []));
    const acquire = (revision = THUMB) => ask("acquire", { revision });
    const ready = async (revision = THUMB) => {
      const acquired = await acquire(revision);
      await ask("load", { sandbox: acquired.sandbox, revision });
      await clock.advance(100);
      assert.ok(
        of("ready").some(({ sandbox }) => sandbox === acquired.sandbox),
        "the sandbox is ready",
      );
      return acquired;
    };
    return { ask, hello, of, acquire, ready, close: () => link.close(), isClosed: () => closed };
  }

  opened.push(async () => {
    await agent?.close();
    await clock.advance(10);
  });
  await boot();
  return {
    clock,
    network,
    host,
    items,
    handles,
    bundles,
    plans,
    settings,
    started,
    boot,
    owner,
    agent: () => agent!,
    dials: () => dials,
  };
}

function fails(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof PlatformError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

/** Sends one invocation on a data stream of its own. */
async function invoke(world: Awaited<ReturnType<typeof createWorld>>, address: string, id: string): Promise<void> {
  const handlers: LinkHandlers = { frame() {}, close() {} };
  const dialing = world.network.dial(address, "data", handlers);
  await world.clock.advance(2);
  const link = await dialing;
  link.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify({ owner: "gw1", epoch: 1 }), null);
  link.send(GUEST_FRAMES.INVOKE, 1, 1, JSON.stringify({ id, ...THUMB, budgetMs: 1_000 }), null);
  await world.clock.advance(100);
}

test("acquire, load, ready; the bundle arrives as it is; release leaves nothing", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  assert.deepEqual(
    { ...owner.hello, sandboxes: [] },
    { agent: "agent-1", host: "here", labels: { zone: "a" }, grantMs: GRANT_MS, sandboxes: [] },
  );
  const { sandbox, address } = await owner.ready();
  assert.equal(address, `guest:${sandbox}`);
  const [ready] = owner.of("ready");
  assert.ok(ready!.startMs >= 20 && ready!.loadMs >= 1, JSON.stringify(ready));
  const { sandboxes } = await owner.ask("list", {});
  assert.deepEqual(sandboxes, [
    { sandbox, address, state: "ready", runtime: "nodejs", memoryMiB: 128, bound: THUMB, slots: 2, epoch: 1 },
  ]);
  assert.deepEqual(owner.of("capacity").at(-1), { memoryMiB: 512, freeMiB: 384, sandboxes: 1 });
  assert.equal(world.bundles.held, 1);
  await owner.ask("release", { sandbox, cause: "idle", reason: "not needed" });
  await world.clock.advance(50);
  assert.deepEqual(owner.of("gone"), [{ sandbox, cause: "idle" }]);
  assert.deepEqual([world.host.guests.size, world.handles.load().length, world.bundles.held], [0, 0, 0]);
  assert.deepEqual(owner.of("capacity").at(-1), { memoryMiB: 512, freeMiB: 512, sandboxes: 0 });
});

test("a grant that is not renewed ends; heartbeats keep it", async () => {
  const world = await createWorld();
  const keeps = await world.owner("gw1");
  const leaves = await world.owner("gw2", 1, false);
  const kept = await keeps.ready();
  const left = await leaves.ready();
  await world.clock.advance(GRANT_MS + 100);
  assert.deepEqual(leaves.of("gone"), [{ sandbox: left.sandbox, cause: "grant-ended" }]);
  assert.deepEqual(
    world.agent().sandboxes.map(({ sandbox }) => sandbox),
    [kept.sandbox],
  );
});

test("a newer epoch takes over what the owner held, and fences the older one on every link", async () => {
  const world = await createWorld();
  const old = await world.owner("gw1", 1);
  const { sandbox } = await old.ready();
  const next = await world.owner("gw1", 2);
  assert.deepEqual(
    next.hello.sandboxes.map((view) => [view.sandbox, view.epoch]),
    [[sandbox, 2]],
  );
  assert.equal(old.isClosed(), true);
  await assert.rejects(world.owner("gw1", 1), fails("conflict", /epoch 1 of gw1 is fenced: epoch 2/));
  const other = await world.owner("gw2", 9);
  const release = { sandbox, cause: "idle", reason: "" };
  await assert.rejects(other.ask("release", release), fails("conflict", /held by gw1/));
  await assert.rejects(next.ask("release", { ...release, epoch: 1 }), fails("conflict", /fenced/));
  assert.equal(world.agent().sandboxes.length, 1);
});

test("a request before hello, an unknown sandbox, and a wrong revision are refused by name", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  await assert.rejects(owner.ask("freeze", { sandbox: "nope" }), fails("not-found", /no sandbox nope/));
  await owner.ask("release", { sandbox: "nope", cause: "idle", reason: "" });
  const big = { ...THUMB, function: "big" };
  world.plans.put(specOf(big, { memoryMiB: 256 }));
  const { sandbox } = await owner.acquire();
  await assert.rejects(owner.ask("load", { sandbox, revision: big }), fails("request-invalid", /128 MiB.*256 MiB/));
  const exotic = { ...THUMB, function: "exotic" };
  world.plans.put(specOf(exotic, { runtime: "cobol" }));
  await assert.rejects(owner.acquire(exotic), fails("runtime-unknown", /no runtime cobol.*nodejs/));
});

test("init that fails goes back to loaded; load asks again, without another process or LOAD", async () => {
  const world = await createWorld({ initFails: 1 });
  const owner = await world.owner();
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(100);
  assert.deepEqual(owner.of("failed"), [
    { sandbox, failure: { code: "init-failed", message: "simulated failure of init" } },
  ]);
  assert.equal(world.agent().sandboxes[0]!.state, "loaded");
  const before = world.host.guests.get(sandbox)!;
  Object.assign(world.settings.behaviour, { initFails: 0 });
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(100);
  assert.equal(owner.of("ready").length, 1);
  assert.equal(world.host.guests.get(sandbox), before);
});

test("code that does not load ends the sandbox with the guest's message", async () => {
  const world = await createWorld({ loadFails: 1 });
  const owner = await world.owner();
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(200);
  const failure = { code: "load-failed", message: "simulated syntax error" };
  assert.deepEqual(owner.of("gone"), [{ sandbox, cause: "load-failed", failure }]);
});

test("a launch plan that is on its way is waited for; one that does not come is a clear failure", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const late = { ...THUMB, revision: "r2" };
  world.clock.after(1_500, () => world.plans.put(specOf(late)));
  await owner.ready(late);
  const never = { ...THUMB, revision: "r9" };
  const asked = world.clock.now();
  await assert.rejects(
    owner.acquire(never),
    fails("unavailable", /no launch plan for default\/shop\/thumb@r9.*control/),
  );
  assert.ok(world.clock.now() - asked < 2_100);
});

test("capacity is never exceeded, also by starts at once, and what ends gives it back", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => owner.acquire()));
  const granted = results.flatMap((result) => (result.status === "fulfilled" ? [result.value.sandbox] : []));
  assert.equal(granted.length, 4);
  await assert.rejects(owner.acquire(), fails("no-capacity", /no room for a sandbox of 128 MiB: 0 of 512 MiB/));
  await owner.ask("release", { sandbox: granted[0], cause: "idle", reason: "" });
  await world.clock.advance(20);
  await owner.acquire();
});

test("a start that fails is told to who asked, and gives its memory back", async () => {
  const world = await createWorld();
  Object.assign(world.host.options, { startFails: 1 });
  const owner = await world.owner();
  await assert.rejects(owner.acquire(), fails("start-failed", /nodejs guest could not be started/));
  assert.equal(world.agent().sandboxes.length, 0);
});

test("a guest that sends garbage is killed for it, and its neighbour is not", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const [bad, good] = [await owner.ready(), await owner.ready()];
  world.host.guests.get(bad.sandbox)!.sendGarbage();
  await world.clock.advance(50);
  const [gone] = owner.of("gone");
  assert.equal(gone!.sandbox, bad.sandbox);
  assert.equal(gone!.cause, "violation");
  assert.match(gone!.failure!.message, /the guest broke its protocol: READY: not JSON/);
  assert.deepEqual(
    world.agent().sandboxes.map(({ sandbox }) => sandbox),
    [good.sandbox],
  );
});

test("a guest that exits or runs out of memory is told within a second, as what it is", async () => {
  for (const [outcome, code, message] of [
    ["exit", "function-exited", "the function's process exited with code 3"],
    ["out-of-memory", "out-of-memory", "out of memory at 128 MiB"],
  ] as const) {
    const world = await createWorld({ outcomes: { [outcome]: 1 }, durationMs: [10, 10] });
    const owner = await world.owner();
    const { address } = await owner.ready();
    await invoke(world, address, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    await world.clock.advance(900);
    assert.deepEqual(owner.of("gone")[0]?.failure, { code, message });
  }
});

test("a guest that answers no ping is busy and lives; a hung load is ended at its deadline", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  world.host.guests.get(sandbox)!.freeze();
  await world.clock.advance(5_000);
  assert.deepEqual(owner.of("health"), [{ sandbox, state: "busy" }]);
  world.host.guests.get(sandbox)!.thaw();
  await world.clock.advance(3_000);
  assert.deepEqual(owner.of("health").at(-1), { sandbox, state: "answering" });
  const hung = await owner.acquire();
  world.host.guests.get(hung.sandbox)!.hang();
  await owner.ask("load", { sandbox: hung.sandbox, revision: THUMB });
  await world.clock.advance(7_000);
  const gone = owner.of("gone").find((event) => event.sandbox === hung.sandbox);
  assert.equal(gone?.failure?.code, "load-failed");
});

test("freeze and thaw: no ping meanwhile; drain lets the guest leave", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  await owner.ask("freeze", { sandbox });
  await world.clock.advance(10_000);
  assert.equal(world.agent().sandboxes[0]!.state, "frozen");
  await owner.ask("thaw", { sandbox });
  await world.clock.advance(5_000);
  assert.deepEqual(owner.of("health"), []);
  await owner.ask("drain", { sandbox, graceMs: 1_000 });
  await world.clock.advance(300);
  assert.deepEqual(owner.of("gone"), [{ sandbox, cause: "stopped" }]);
});

test("a control stream that is cut at any moment is dialed again, and the load goes on", async () => {
  for (let at = 0; at < 40; at += 2) {
    const world = await createWorld({ loadMs: [5, 5], initMs: [5, 5] });
    const owner = await world.owner();
    const { sandbox, address } = await owner.acquire();
    void owner.ask("load", { sandbox, revision: THUMB });
    await world.clock.advance(at / 2);
    world.network.cut(address);
    await world.clock.advance(2_000);
    assert.equal(owner.of("ready").length, 1, `cut ${at / 2} ms after load`);
  }
});

test("a control stream that is cut while the bundle is fetched causes one LOAD, on the new stream", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const { sandbox, address } = await owner.acquire();
  world.bundles.fetched = new Promise((resolve) => world.clock.after(500, () => resolve(undefined)));
  await owner.ask("load", { sandbox, revision: THUMB });
  world.network.cut(address);
  await world.clock.advance(1_000);
  assert.equal(owner.of("ready").length, 1);
  // A guest closes its stream on a second LOAD.
  assert.equal(world.dials(), 2);
});

test("what a guest said just before it died is heard before its end is told", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  const guest = world.host.guests.get(sandbox)!;
  guest.log([{ atMs: world.clock.now(), stream: "stderr", level: "error", text: "last words" }]);
  void guest.die({ cause: "exited", detail: "exited with code 1" });
  await world.clock.advance(400);
  assert.equal(owner.of("gone").length, 1);
  const texts = world.items.flatMap((item) => (item.kind === "logs" ? item.log.entries.map(({ text }) => text) : []));
  assert.deepEqual(texts, ["last words"]);
});

test("the next agent has every sandbox, its state, its holder and its bundle, and reaps the rest", async () => {
  const world = await createWorld();
  const owner = await world.owner("gw1", 3);
  const ready = await owner.ready();
  const pending = await owner.acquire();
  const stray = await owner.acquire();
  await owner.ask("freeze", { sandbox: ready.sandbox });
  world.handles.remove(stray.sandbox);
  await world.boot();
  assert.equal(world.host.guests.size, 2);
  assert.equal(world.bundles.held, 1);
  const again = await world.owner("gw1", 4);
  assert.deepEqual(
    again.hello.sandboxes.map(({ sandbox, state, epoch, slots }) => [sandbox, state, epoch, slots]),
    [
      [ready.sandbox, "frozen", 4, 2],
      [pending.sandbox, "pending", 4, 0],
    ],
  );
  await again.ask("thaw", { sandbox: ready.sandbox });
  await again.ask("load", { sandbox: pending.sandbox, revision: THUMB });
  await world.clock.advance(100);
  assert.deepEqual(
    again.of("ready").map(({ sandbox }) => sandbox),
    [pending.sandbox],
  );
  await assert.rejects(world.owner("gw1", 3), fails("conflict", /fenced/));
});

test("an owner that does not come back to the next agent loses its sandboxes after one grant", async () => {
  const world = await createWorld();
  const owner = await world.owner("gw1", 2);
  await owner.ready();
  await world.boot();
  await assert.rejects(world.owner("gw1", 1), fails("conflict", /epoch 1 of gw1 is fenced: epoch 2/));
  await world.clock.advance(GRANT_MS - 200);
  assert.equal(world.agent().sandboxes.length, 1);
  await world.clock.advance(300);
  assert.deepEqual([world.agent().sandboxes.length, world.host.guests.size], [0, 0]);
});

test("log entries reach telemetry under the function's name; a flood is cut and counted", async () => {
  const world = await createWorld({ logs: [150, 150], durationMs: [1, 1] });
  const owner = await world.owner();
  const { sandbox, address } = await owner.ready();
  await invoke(world, address, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  await invoke(world, address, "01ARZ3NDEKTSV4RRFFQ69G5FAW");
  await owner.ask("release", { sandbox, cause: "idle", reason: "" });
  await world.clock.advance(400);
  const logs = world.items.flatMap((item) => (item.kind === "logs" ? [item] : []));
  const { log: _, ...named } = logs[0]!;
  assert.deepEqual(named, { kind: "logs", ...THUMB, sandbox });
  const passed = logs.reduce((sum, { log }) => sum + log.entries.length, 0);
  const dropped = logs.reduce((sum, { log }) => sum + (log.dropped ?? 0), 0);
  assert.equal(passed + dropped, 300);
  assert.ok(passed >= 100 && passed <= 125, `${passed}`);
});
