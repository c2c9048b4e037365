import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Network } from "#base/link/link.ts";
import { INTERNET } from "#contract/network/policy.ts";
import { packTar } from "#guest/testing/pack-tar.ts";
import type { Bundle, RuntimeLaunch, Sandbox, SandboxDriver } from "#ports/sandbox/index.ts";
import { GuestSession } from "../guest-session.ts";

/** A host with a platform on it, to be attacked from within a sandbox, and what can be seen of it from outside. */
export interface AttackedMachine {
  /** Not opened. */
  readonly driver: SandboxDriver;
  readonly network: Network;
  /** For Node functions; there is a Python for programs beside them. */
  readonly runtime: RuntimeLaunch;
  /** A folder of the platform's own. */
  readonly home: string;
  readonly spawnerPid: number;
  /** Sandboxes have a kernel of their own: what that grants is judged by its effect on the host alone. */
  readonly hasOwnKernel: boolean;
  /** Processes on the host that a sandbox consists of. */
  pidsOf(id: string): Promise<number[]>;
  /** The most memory that a sandbox has had, in MiB, as the host counts it. */
  peakMiB(id: string): number;
  /** Processors that the host lets a sandbox have. */
  cpus(id: string): number;
  leftovers(): readonly string[];
  close(): Promise<void>;
}

export interface AttackSuite {
  readonly name: string;
  make(): Promise<AttackedMachine>;
}

const FUNCTIONS = fileURLToPath(new URL("./functions", import.meta.url));
export const MEMORY_MIB = 128;
/** Where a function may write. */
export const OWN_FOLDERS = ["/tmp", "/dev/shm", "/run/colibri"];
const CANARY = "canary-";
/** Of a sandbox that is killed. */
const GONE_WITHIN_MS = 2_000;
const ATTACK_MS = 20_000;

/** A function in a sandbox of its own. */
export interface Attacker {
  readonly sandbox: Sandbox;
  /** What the attack tells. @throws when it failed, or took its own sandbox with it. */
  run<T>(name: string, orders?: object): Promise<T>;
  /** The same, where it may end its sandbox: `cut` then. */
  runToTheEnd(name: string, orders?: object): Promise<unknown>;
  close(): void;
}

function createAttacker(sandbox: Sandbox, guest: GuestSession): Attacker {
  async function runToTheEnd(name: string, orders = {}): Promise<unknown> {
    const answer = await guest.invoke(JSON.stringify({ name, orders }));
    if (answer.kind === "cut") return "cut";
    const told = JSON.parse(answer.text);
    assert.equal(told.failed, undefined);
    return told;
  }
  async function run<T>(name: string, orders = {}): Promise<T> {
    const told = await runToTheEnd(name, orders);
    assert.notEqual(told, "cut", `${name} ended its sandbox`);
    return told as T;
  }
  return { sandbox, run, runToTheEnd, close: () => guest.close() };
}

export type Stage = ReturnType<typeof createStage>;

/**
 * One machine for all attacks of a suite, with a neighbour who has secrets and is asked after each attack whether all is well with
 * them, and who waits for whoever breaks out.
 */
export function createStage(suite: AttackSuite) {
  const canary = `${CANARY}${createHash("sha256").update(String(process.hrtime.bigint())).digest("hex").slice(0, 16)}`;
  let machine: AttackedMachine;
  let neighbour: Attacker;
  let traps: Traps;
  let sandboxes = 0;

  before(async () => {
    machine = await suite.make();
    await machine.driver.open(AbortSignal.timeout(10_000));
    traps = await setTraps(machine.home, canary);
    neighbour = await attacker({ "secret.txt": canary });
    await neighbour.run("hide", { secret: canary });
  });
  after(async () => {
    try {
      neighbour.close();
      await end(neighbour);
      assert.deepEqual(machine.leftovers(), []);
    } finally {
      traps.close();
      await machine.driver.close();
      await machine.close();
    }
  });

  async function attacker(more: Record<string, string> = {}, memoryMiB = MEMORY_MIB): Promise<Attacker> {
    const id = `attacker-${++sandboxes}`;
    const bundle = makeBundle(join(machine.home, id), more);
    const sandbox = await machine.driver.start({ id, runtime: machine.runtime, memoryMiB });
    const guest = new GuestSession(machine.network, sandbox.address);
    await guest.greet();
    await guest.load(await sandbox.deliver(bundle, INTERNET), bundle.read, "attack.mjs", memoryMiB);
    return createAttacker(sandbox, guest);
  }

  /** Soon, and with all it had. */
  async function end({ sandbox }: Attacker): Promise<void> {
    const startMs = performance.now();
    await sandbox.kill("stopped");
    await sandbox.gone;
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < GONE_WITHIN_MS, `its end took ${tookMs} ms`);
    assert.deepEqual(await machine.pidsOf(sandbox.id), []);
  }

  async function neighbourIsWell(): Promise<void> {
    assert.deepEqual(await neighbour.run("echo", { well: true }), { well: true });
    assert.deepEqual(traps.visitors, []);
    process.kill(machine.spawnerPid, 0);
  }

  /** Attacks from a new sandbox, ends it, and asks after the neighbour. */
  const attack = (title: string, run: (attacker: Attacker) => Promise<void>, memoryMiB = MEMORY_MIB) =>
    test(`${suite.name}: ${title}`, { timeout: ATTACK_MS }, async () => {
      const one = await attacker({}, memoryMiB);
      try {
        await run(one);
        await neighbourIsWell();
      } finally {
        one.close();
        await end(one);
      }
    });

  return {
    ...{ attack, attacker, end, neighbourIsWell },
    get machine() {
      return machine;
    },
    get neighbour() {
      return neighbour;
    },
    get traps() {
      return traps;
    },
  };
}

interface Traps {
  /** Of the host, with a secret in each. */
  readonly files: readonly string[];
  readonly sockets: readonly string[];
  readonly abstract: string;
  readonly port: number;
  /** Who got to a socket of the host. */
  readonly visitors: string[];
  close(): void;
}

/** Files that anybody on the host may read, and sockets that anybody may connect to: only the walls are in the way. */
async function setTraps(home: string, canary: string): Promise<Traps> {
  const open = join(tmpdir(), `colibri-attacked-${canary}`);
  mkdirSync(open);
  const files = [join(home, "token"), join(open, "open"), `/dev/shm/${canary}`];
  for (const path of files) writeFileSync(path, canary, { mode: 0o644 });
  const visitors: string[] = [];
  const servers: Server[] = [];
  const listen = async (name: string, address: object) => {
    const server = createServer((socket) => {
      visitors.push(name);
      socket.destroy();
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(address, resolve));
    return server;
  };
  const sockets = [join(home, "agent.sock"), join(open, "open.sock")];
  for (const path of sockets) {
    await listen(path, { path });
    chmodSync(path, 0o777);
  }
  const abstract = `colibri-${canary}`;
  await listen(abstract, { path: `\0${abstract}` });
  const tcp = await listen("a port", { host: "0.0.0.0", port: 0 });
  const { port } = tcp.address() as { port: number };
  const close = () => {
    for (const server of servers) server.close();
    for (const path of [open, `/dev/shm/${canary}`]) rmSync(path, { recursive: true });
  };
  return { files, sockets, abstract, port, visitors, close };
}

/** The attack functions, and more files beside them. */
function makeBundle(folder: string, more: Readonly<Record<string, string>>): Bundle {
  cpSync(FUNCTIONS, folder, { recursive: true });
  for (const [name, text] of Object.entries(more)) writeFileSync(join(folder, name), text);
  const files = readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile());
  // Only that it is shown read-only is in the way.
  for (const path of [folder, ...files.map((name) => join(folder, name))]) chmodSync(path, 0o777);
  const archive = packTar(Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), "utf8")])));
  const digest = `sha256:${createHash("sha256").update(archive).digest("hex")}` as const;
  return { digest, bytes: archive.length, folder, read: () => Readable.from([archive]) };
}
