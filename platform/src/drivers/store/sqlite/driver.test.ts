import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { PlatformError } from "#contract/errors.ts";
import { SUITE_LIMITS, storeConformance } from "#ports/store/conformance.ts";
import type { Store } from "#ports/store/index.ts";
import { deploy, fresh } from "#ports/store/sample.ts";
import { createSqliteStore } from "./driver.ts";

const SIGNAL = () => AbortSignal.timeout(10_000);
const CRASHING = fileURLToPath(new URL("./crash.fixture.ts", import.meta.url));
const onLost = (error: Error) => assert.fail(error);

storeConformance("sqlite", async () => {
  const folder = await mkdtemp(join(tmpdir(), "colibri-store-"));
  const make = (id: string) =>
    createSqliteStore({ onLost }, { path: join(folder, "control.db"), id, limits: SUITE_LIMITS });
  return {
    store: make("suite"),
    again: () => make("not the first"),
    remove: () => rm(folder, { recursive: true }),
  };
});

async function inFolder(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "colibri-store-"));
  try {
    await run(join(folder, "control", "control.db"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function withStore<T>(path: string, run: (store: Store) => Promise<T>): Promise<T> {
  const store = createSqliteStore({ onLost }, { path, id: "suite" });
  await store.open(SIGNAL());
  try {
    return await run(store);
  } finally {
    await store.close();
  }
}

test("killed in the middle of its work, it has all that was acknowledged and nothing by halves", async () => {
  await inFolder(async (path) => {
    for (const acknowledgements of [1, 25]) {
      const acknowledged = await writeUntilKilled(path, acknowledgements);
      await withStore(path, (store) => everythingIsThere(store, acknowledged));
    }
  });
});

/** Runs a process that releases functions as fast as it can; kills it after so many were acknowledged. */
async function writeUntilKilled(path: string, acknowledgements: number): Promise<string[]> {
  const child = spawn(process.execPath, [CRASHING, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const acknowledged: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line);
    if (acknowledged.length === acknowledgements) child.kill("SIGKILL");
  }
  assert.ok(acknowledged.length >= acknowledgements, "the writing process ended by itself");
  return acknowledged;
}

async function everythingIsThere(store: Store, acknowledged: readonly string[]): Promise<void> {
  for (const id of acknowledged) assert.equal((await store.deployment("acme", id))?.state, "done", id);
  const { number } = await store.identity();
  for (const state of await store.functions("acme", "shop", { limit: 1_000 })) {
    const deployment = await store.deployment("acme", state.function.toUpperCase());
    assert.match(`${deployment?.state}`, /^(released|done)$/, `${state.function} was released without its deployment`);
    assert.ok(await store.revision("acme", "shop", state.function, "r1"));
    assert.ok(state.version <= number);
  }
  for (const job of await store.unfinishedDeployments("acme"))
    assert.equal((await store.function("acme", "shop", job.id.toLowerCase())) !== undefined, job.state === "released");
}

test("a release that fails at its last step leaves nothing of itself", async () => {
  await inFolder(async (path) => {
    const before = await withStore(path, async (store) => {
      await deploy(store, "D1", [fresh("thumbnail")]);
      return store.identity();
    });
    const database = new DatabaseSync(path);
    database.exec(`CREATE TRIGGER full BEFORE UPDATE ON deployments WHEN NEW.state = 'released'
      BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`);
    database.close();
    await withStore(path, async (store) => {
      const failed = deploy(store, "D2", [fresh("summary")], { prune: true });
      await assert.rejects(failed, (error) => {
        assert.ok(error instanceof PlatformError && error.code === "store-unavailable");
        return /the disk is full/.test(error.message);
      });
      assert.deepEqual(await store.identity(), before);
      assert.deepEqual(
        (await store.functions("acme", "shop", { limit: 9 })).map((one) => one.function),
        ["thumbnail"],
      );
      assert.deepEqual(await store.revisions("acme", "shop", "summary", { limit: 9 }), []);
      assert.equal((await store.deployment("acme", "D2"))?.state, "queued");
    });
  });
});

test("a file that is no database is refused with its path", async () => {
  await inFolder(async (path) => {
    await withStore(path, async () => {});
    for (const suffix of ["", "-wal", "-shm"]) await rm(path + suffix, { force: true });
    await writeFile(path, "this is not a database, whatever its name says".repeat(100));
    const store = createSqliteStore({ onLost }, { path, id: "suite" });
    await assert.rejects(store.open(SIGNAL()), (error) => {
      assert.ok(error instanceof PlatformError);
      assert.equal(error.code, "store-unavailable");
      assert.ok(error.message.includes(path), error.message);
      return true;
    });
    await store.close();
  });
});

test("calls under way when it is closed are answered", async () => {
  await inFolder(async (path) => {
    const store = createSqliteStore({ onLost }, { path, id: "suite" });
    await store.open(SIGNAL());
    const refused = assert.rejects(deploy(store, "D1", [fresh("thumbnail")]), /not open/);
    const asked = store.tenants();
    await store.close();
    assert.deepEqual(await asked, ["acme"]);
    await refused;
  });
});
