import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createSystemClock } from "#base/clock.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { createMemoryBlobs } from "#drivers/blobs/memory/driver.ts";
import { createProcessDriver } from "#drivers/sandbox/process/driver.ts";
import { createMemoryStore } from "#drivers/store/memory/driver.ts";
import { createSqliteStore } from "#drivers/store/sqlite/driver.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { benchBlobs } from "#ports/blobs/bench.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import { benchSandboxes } from "#ports/sandbox/bench.ts";
import { benchStore } from "#ports/store/bench.ts";
import type { Store } from "#ports/store/index.ts";
import type { Row } from "./lib/report.ts";

/** As the benches of all ports answer. */
interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** One driver's figures, with all that it keeps below a folder of its own. */
type Run = (folder: string) => Promise<readonly Figure[]>;

const nowMs = () => performance.now();
const SPAWNER = fileURLToPath(new URL("../platform/src/drivers/sandbox/spawned/spawner.fixture.ts", import.meta.url));

const DRIVERS: Readonly<Record<string, Readonly<Record<string, Run>>>> = {
  blobs: {
    filesystem: (folder) => onBlobs(createFilesystemBlobs({ root: join(folder, "blobs") })),
    memory: () => onBlobs(createMemoryBlobs({ now: Date.now })),
  },
  sandbox: { process: onProcesses },
  store: {
    sqlite: (folder) => onStore(createSqliteStore({ onLost: fail }, { path: join(folder, "control.db"), id: "bench" })),
    memory: () => onStore(createMemoryStore({ id: "bench" })),
  },
};
export const PORTS: readonly string[] = Object.keys(DRIVERS);

/** Each driver of the named port, or of all ports, by its port's bench. Folders are made below `root`, a disk to be measured. */
export async function benchPorts(port: string | undefined, root: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const name of port === undefined ? PORTS : [port])
    for (const [driver, run] of Object.entries(DRIVERS[name] ?? {}))
      for (const figure of await inFolder(root, run)) rows.push(row(name, driver, figure));
  return rows;
}

function row(port: string, driver: string, { name, value, unit }: Figure): Row {
  return { bench: "ports", port, driver, what: name, value: Number(value.toPrecision(3)), unit };
}

async function inFolder(root: string, run: Run): Promise<readonly Figure[]> {
  const folder = mkdtempSync(join(root, "colibri-bench-"));
  try {
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function onBlobs(blobs: Blobs): Promise<readonly Figure[]> {
  await blobs.open(AbortSignal.timeout(5_000));
  try {
    return await benchBlobs({ blobs, nowMs });
  } finally {
    await blobs.close();
  }
}

async function onStore(store: Store): Promise<readonly Figure[]> {
  await store.open(AbortSignal.timeout(5_000));
  try {
    return await benchStore({ store, nowMs });
  } finally {
    await store.close();
  }
}

async function onProcesses(folder: string): Promise<readonly Figure[]> {
  const address = join(folder, "spawner.sock");
  const spawner = spawn(process.execPath, [SPAWNER, address], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(spawner, "exit");
  await Promise.race([once(spawner.stdout, "data"), exited.then(() => fail(new Error("the spawner did not start")))]);
  const clock = createSystemClock();
  const deps = { network: createSocketNetwork(), clock, random: createSystemRandom(), log: createSilentLog() };
  const driver = createProcessDriver(deps, { folder: join(folder, "sandboxes"), spawner: address });
  try {
    const { nodejs } = await bundleGuests(join(folder, "guests"));
    const command = [process.execPath, "--max-old-space-size={memoryMiB}", nodejs];
    await driver.open(AbortSignal.timeout(5_000));
    return await benchSandboxes({ driver, runtime: { name: "nodejs", command, environment: {} }, nowMs });
  } finally {
    await driver.close();
    spawner.stdin.end();
    await exited;
  }
}

function fail(error: Error): never {
  throw error;
}
