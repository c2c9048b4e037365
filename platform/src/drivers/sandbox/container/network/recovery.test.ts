import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createSystemClock, sleep } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { SEARCH_PATH } from "./commands.ts";
import {
  enterMountTable,
  type FakeInternet,
  hostState,
  NOTHING,
  newHome,
  nft,
  openFakeInternet,
  openProbe,
  PORTS,
  whyNotHere,
} from "./fake-internet.fixture.ts";
import { createSandboxNetworks, type SandboxNetworks } from "./networks.ts";

const OWNER = fileURLToPath(new URL("./owner.fixture.ts", import.meta.url));
const PORT = PORTS[0]!;

const toolPath = (tool: string) => SEARCH_PATH.map((folder) => join(folder, tool)).find((path) => existsSync(path))!;

interface Held {
  readonly name: string;
  readonly path: string;
  readonly address: string;
}

describe("networks of sandboxes after their agent's death", { skip: whyNotHere(), timeout: 120_000 }, () => {
  let internet: FakeInternet;

  before(async () => {
    await enterMountTable();
    internet = await openFakeInternet();
  });
  after(() => internet?.close());

  interface Scene {
    readonly home: string;
    readonly folder: string;
    readonly networks: SandboxNetworks;
    readonly children: ChildProcess[];
  }

  function scene(t: TestContext): Scene {
    const home = newHome();
    const folder = mkdtempSync(join(tmpdir(), "colibri-networks-"));
    const deps = { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog() };
    const create = (poolSize: number) =>
      createSandboxNetworks(deps, { home, folder, poolSize, nameservers: internet.nameservers });
    const networks = create(1);
    const children: ChildProcess[] = [];
    t.after(async () => {
      for (const child of children) await kill(child);
      await networks.close();
      const left = hostState(home);
      // A test that failed halfway leaves networks: they go in any case.
      const last = create(0);
      await last.open(new AbortController().signal);
      await last.reap([]);
      await last.close();
      rmSync(folder, { recursive: true, force: true });
      assert.deepEqual(left, NOTHING);
    });
    return { home, folder, networks, children };
  }

  /** Started, and its first line. */
  async function owner(
    scene: Scene,
    what: string,
    { prefix = [], programs }: { prefix?: readonly string[]; programs?: string } = {},
  ): Promise<{ child: ChildProcess; line: string }> {
    const args = [scene.home, scene.folder, internet.address, what, ...(programs === undefined ? [] : [programs])];
    const [program, ...rest] = [...prefix, process.execPath, OWNER, ...args] as [string, ...string[]];
    const child = spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"] });
    scene.children.push(child);
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
    return { child, line };
  }

  async function kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  test("networks are recovered with their policies, connections go on, the rest is reaped", async (t) => {
    const stage = scene(t);
    const { home, folder, networks } = stage;
    const { child, line } = await owner(stage, "hold");
    const held = JSON.parse(line) as [Held, Held, Held];
    const probes = held.map(({ path }) => openProbe(path));
    t.after(() => Promise.all(probes.map((probe) => probe.close())));
    const target = { kind: "hold", host: internet.address, port: PORT };
    assert.match(await probes[0]!.run(target), /^from /);
    assert.equal(await probes[1]!.run({ kind: "names", host: "web.example.test" }), internet.address);
    assert.match(await probes[1]!.run(target), /^from /);
    await kill(child);
    assert.equal(await probes[0]!.run({ kind: "say", text: "alone" }), "alone");

    await networks.open(new AbortController().signal);
    for (const probe of probes.slice(0, 2)) assert.equal(await probe.run({ kind: "say", text: "adopted" }), "adopted");
    const [free, allowed] = [await networks.recover(held[0].name), await networks.recover(held[1].name)];
    assert.equal(free?.address, held[0].address);
    assert.equal(allowed?.path, held[1].path);
    assert.equal(await networks.recover("colibri-000000-5"), undefined);
    assert.equal(await probes[0]!.run({ kind: "names", host: "big.example.test" }), internet.address);
    assert.equal(await probes[1]!.run({ kind: "names", host: "web.example.test" }), internet.address);
    assert.equal(await probes[1]!.run({ kind: "names", host: "big.example.test" }), "EREFUSED");

    // The one under `none`, and the pool of two.
    assert.equal(await networks.reap([]), 3);
    assert.deepEqual(hostState(held[2].name), NOTHING);
    assert.ok(!nft(`list table inet colibri_${home}`).includes(held[2].address));
    for (const probe of probes.slice(0, 2)) assert.equal(await probe.run({ kind: "say", text: "still" }), "still");
    await allowed!.apply({ kind: "allow", hosts: ["web.example.test", "203.0.113.0/24:1"] });
    assert.equal(await probes[1]!.run({ kind: "say", text: "the same policy" }), "the same policy");
    await allowed!.apply({ kind: "none" });
    assert.notEqual(await probes[1]!.run({ kind: "say", text: "more" }), "more");
    await Promise.all([free!.release(), allowed!.release()]);
    assert.deepEqual(readdirSync(folder), []);
  });

  test("what is kept by name survives reaping and closing, until it is reaped", async (t) => {
    const stage = scene(t);
    const { home, folder, networks } = stage;
    const { child, line } = await owner(stage, "hold");
    const [free] = JSON.parse(line) as [Held];
    await kill(child);
    await networks.open(new AbortController().signal);
    assert.equal(await networks.reap([free.name]), 4);
    await networks.close();
    const probe = openProbe(free.path);
    t.after(() => probe.close());
    assert.match(await probe.run({ kind: "tcp", host: internet.address, port: PORT }), /^from /);
    const next = createSandboxNetworks(
      { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog() },
      { home, folder, poolSize: 0 },
    );
    await next.open(new AbortController().signal);
    assert.equal(await next.reap([]), 1);
    await next.close();
  });

  test("a policy that was on disk and not yet in force when the agent died is put in force when it is asked for", async (t) => {
    const stage = scene(t);
    const { home, networks } = stage;
    const programs = mkdtempSync(join(tmpdir(), "colibri-programs-"));
    t.after(() => rmSync(programs, { recursive: true }));
    const deadly = join(programs, "now");
    symlinkSync(toolPath("ip"), join(programs, "ip"));
    writeFileSync(
      join(programs, "nft"),
      `#!/bin/sh\n[ -e ${deadly} ] && kill -9 $PPID && exit 1\nexec ${toolPath("nft")} "$@"\n`,
      { mode: 0o755 },
    );
    const { child, line } = await owner(stage, "narrow", { programs });
    const [, held] = JSON.parse(line) as [Held, Held];
    const probe = openProbe(held.path);
    t.after(() => probe.close());
    assert.equal(await probe.run({ kind: "names", host: "web.example.test" }), internet.address);
    assert.match(await probe.run({ kind: "hold", host: internet.address, port: PORT }), /^from /);
    const died = once(child, "exit");
    writeFileSync(deadly, "");
    child.stdin!.write("narrow\n");
    await died;

    await networks.open(new AbortController().signal);
    const network = (await networks.recover(held.name))!;
    const fixed = () => nft(`list set inet colibri_${home} fixed_port`).includes(held.address);
    await networks.reap([]);
    assert.ok(fixed(), "the narrowing was in force");
    await network.apply({ kind: "allow", hosts: ["web.example.test"] });
    assert.ok(!fixed(), "more is let through than the policy says");
    assert.notEqual(await probe.run({ kind: "say", text: "under an earlier policy" }), "under an earlier policy");
    await network.release();
  });

  test("pins that went with the platform's mount table leave nothing behind", async (t) => {
    const stage = scene(t);
    const { networks } = stage;
    const prefix = ["unshare", "--mount", "--propagation", "slave"];
    const { child, line } = await owner(stage, "hold", { prefix });
    const [free] = JSON.parse(line) as [Held];
    await kill(child);
    await networks.open(new AbortController().signal);
    assert.equal(await networks.recover(free.name), undefined);
    assert.equal(await networks.reap([]), 5);
  });

  test("killed while it makes and removes, at any moment, nothing is left after reaping", async (t) => {
    const clock = createSystemClock();
    for (const delayMs of [0, 30, 70, 150, 300]) {
      await t.test(`after ${delayMs} ms`, async (t) => {
        const stage = scene(t);
        const { folder, networks } = stage;
        const { child } = await owner(stage, "churn");
        // Any moment will do: it is the spread that matters.
        await sleep(clock, delayMs);
        await kill(child);
        await networks.open(new AbortController().signal);
        await networks.reap([]);
        const network = await networks.take();
        await network.release();
        assert.deepEqual(readdirSync(folder), []);
      });
    }
  });
});
