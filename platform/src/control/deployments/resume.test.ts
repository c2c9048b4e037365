import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import { PlatformError } from "#contract/errors.ts";
import { createMemoryStore } from "#drivers/store/memory/driver.ts";
import { emptyTables } from "#drivers/store/memory/schema.ts";
import { STORE_METHODS, type Store } from "#ports/store/index.ts";
import { CopyingBuilder, type Medium, makeMedium, startControl } from "../control.fixture.ts";

const KILLED = fileURLToPath(new URL("./killed.fixture.ts", import.meta.url));

/** Calls of a deployment's execution that change the store, in their order: where control may end, before or after each. */
const WRITES = ["progress", "release"] as const;

/** A store that stops answering for ever at one write: before it takes effect, or after it did. */
function stoppingStore(store: Store, at: number, when: "before" | "after") {
  let writes = 0;
  const stopped = Promise.withResolvers<void>();
  const { promise: never, reject } = Promise.withResolvers<never>();
  never.catch(() => {});
  const passed = Object.fromEntries(
    STORE_METHODS.map((method) => [
      method,
      async (...args: unknown[]) => {
        const counts = (WRITES as readonly string[]).includes(method) && ++writes === at;
        const call = () => (store[method] as (...args: unknown[]) => Promise<unknown>)(...args);
        if (!counts) return writes > at ? never : call();
        if (when === "after") await call();
        stopped.resolve();
        return never;
      },
    ]),
  ) as unknown as Store;
  const release = () => reject(new Error("the test is over"));
  return { store: { ...store, ...passed }, stopped: stopped.promise, release };
}

describe("a deployment goes on where control ended", () => {
  /** Tables in memory, so that a test can stop the store between any two writes; blobs on disk. */
  const medium = async (): Promise<Medium & { tables: ReturnType<typeof emptyTables> }> => {
    const tables = emptyTables();
    const disk = await makeMedium("sqlite");
    return { ...disk, tables, store: () => createMemoryStore({ id: "test", tables }) };
  };

  test("one whose plan would be refused fails and says why: it is not done and never live", async () => {
    const kept = await medium();
    const first = await startControl(kept);
    const source = await first.client.upload("code");
    await first.control.close();
    const policy = { ...CONFIG.policy, queue: { length: 1, timeoutMs: 1e300 } };
    const functions = { wrong: { config: { ...CONFIG, policy }, source }, right: { config: CONFIG, source } };
    const request = { app: "shop", functions };
    const id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    // As a version that checked less may have left it.
    const store = kept.store();
    await store.open(AbortSignal.timeout(10_000));
    await store.createDeployment("default", { id, app: "shop", request, warnings: [], createdAtMs: 1 });
    await store.close();
    const { control, client } = await startControl(kept);
    const { state, functions: ended } = await client.ended(id);
    const found = await client.ask("getFunction", { params: { app: "shop", function: "right" } });
    await control.close();
    await kept.remove();
    assert.equal(state, "failed");
    const errors = Object.fromEntries(ended.map((one) => [one.function, one.error]));
    assert.equal(errors["wrong"]?.code, "request-invalid");
    assert.match(errors["wrong"]!.message, /policy\.queue\.timeoutMs: expected an integer .*got 1e\+300/);
    assert.match(errors["right"]!.message, /because wrong failed/);
    assert.equal(found.status, 404);
  });

  async function endAt(at: number, when: "before" | "after"): Promise<boolean> {
    const kept = await medium();
    const stopping = stoppingStore(kept.store(), at, when);
    const first = await startControl(kept, { deps: { store: stopping.store } });
    const source = await first.client.upload("code");
    const functions = { one: { config: CONFIG, source }, two: { config: CONFIG, source } };
    const { id } = (await first.client.ask("createDeployment", { body: { app: "shop", functions } })).body;
    const ended = (async () => {
      for (;;) {
        const row = kept.tables.deployments.get(`default/${id}`);
        if (row?.finishedAtMs !== undefined) return "ended" as const;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const which = await Promise.race([stopping.stopped.then(() => "stopped" as const), ended]);
    // The first one is not closed: like a process that was killed, it does nothing any more.
    const second = await startControl(kept);
    const done = await second.client.ended(id);
    assert.equal(done.state, "done", `${when} write ${at}: ${JSON.stringify(done.functions)}`);
    assert.deepEqual(
      done.functions.map((one) => [one.function, one.change, one.revision]),
      [
        ["one", "created", "r1"],
        ["two", "created", "r1"],
      ],
    );
    const events = [...(kept.tables.events.get(`default/${id}`) ?? [])];
    assert.equal(events.filter((event) => event.kind === "end").length, 1);
    assert.equal(kept.tables.revisions.size, 2);
    assert.ok(second.builder.builds <= 2);
    await second.control.close();
    const closing = first.control.close();
    stopping.release();
    await closing;
    await kept.remove();
    return which === "stopped";
  }

  for (const when of ["before", "after"] as const) {
    test(`${when} any of its writes`, async () => {
      let at = 1;
      while (await endAt(at, when)) at++;
      assert.ok(at > 5, `only ${at - 1} writes were seen`);
    });
  }

  test("a bundle that was built is not built again", async () => {
    const kept = await medium();
    const first = await startControl(kept);
    const stuck = Promise.withResolvers<void>();
    first.builder.before = ({ config }, signal) => {
      if (config.environment.SLOW === undefined) return;
      stuck.resolve();
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const source = await first.client.upload("code");
    const slow = { ...CONFIG, environment: { SLOW: "1" } };
    const functions = { quick: { config: CONFIG, source }, slow: { config: slow, source } };
    const { id } = (await first.client.ask("createDeployment", { body: { app: "shop", functions } })).body;
    await stuck.promise;
    await first.control.close();
    const second = await startControl(kept);
    const done = await second.client.ended(id);
    assert.equal(done.state, "done", JSON.stringify(done.functions));
    assert.equal(second.builder.builds, 1);
    await second.control.close();
    await kept.remove();
  });

  test("one that was begun again and again without an end is given up", async () => {
    const kept = await medium();
    let id = "";
    for (let attempt = 0; attempt < 5; attempt++) {
      const stuck = Promise.withResolvers<void>();
      const running = await startControl(kept, {
        builder: (blobs) => {
          const builder = new CopyingBuilder(blobs);
          builder.before = (_, signal) => {
            stuck.resolve();
            return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
          };
          return builder;
        },
      });
      if (id === "") {
        const source = await running.client.upload("code");
        const body = { app: "shop", functions: { one: { config: CONFIG, source } } };
        id = (await running.client.ask("createDeployment", { body })).body.id;
      }
      await stuck.promise;
      await running.control.close();
    }
    const last = await startControl(kept);
    const failed = await last.client.ended(id);
    assert.equal(failed.state, "failed");
    assert.match(
      failed.functions[0]?.error?.message ?? "",
      /begun 5 times and never ended.* The last time: control ended/,
    );
    await last.control.close();
    await kept.remove();
  });

  test("one that is given up says what ended it the last time, and its events say what did before", async () => {
    const kept = await medium();
    const stuck = Promise.withResolvers<void>();
    const builder = (before: CopyingBuilder["before"]) => (blobs: ConstructorParameters<typeof CopyingBuilder>[0]) =>
      Object.assign(new CopyingBuilder(blobs), { before });
    const first = await startControl(kept, {
      builder: builder((_, signal) => {
        stuck.resolve();
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      }),
    });
    const source = await first.client.upload("code");
    const body = { app: "shop", functions: { one: { config: CONFIG, source } } };
    const { id } = (await first.client.ask("createDeployment", { body })).body;
    await stuck.promise;
    await first.control.close();
    const store = kept.store();
    await store.open(AbortSignal.timeout(5_000));
    await store.progress("default", id, { atMs: 1, attempts: 4 });
    await store.close();
    const second = await startControl(kept, {
      builder: builder(() => Promise.reject(new PlatformError("unavailable", "The registry is on holiday."))),
    });
    const failed = await second.client.ended(id);
    assert.match(
      failed.functions[0]?.error?.message ?? "",
      /begun 5 times.* The last time: The registry is on holiday\.$/,
    );
    const events = await second.store.events("default", id, 0, 100);
    assert.match(JSON.stringify(events), /Taken up again. The last time: control ended while it was under way\./);
    await second.control.close();
    await kept.remove();
  });

  test("a store that is away for a moment delays it only", async () => {
    const tables = emptyTables();
    const memory = await makeMedium("memory");
    let refusals = 3;
    const before = (method: string) => {
      if (method !== "progress" || refusals-- <= 0) return;
      throw new PlatformError("store-unavailable", "The disk is on holiday.");
    };
    const running = await startControl({ ...memory, store: () => createMemoryStore({ id: "test", tables, before }) });
    const source = await running.client.upload("code");
    const done = await running.client.deploy({ app: "shop", functions: { one: { config: CONFIG, source } } });
    assert.equal(done.state, "done");
    assert.ok(running.logged.some((line) => line.message.startsWith("deployment interrupted")));
    await running.control.close();
  });
});

test("control killed while it builds: the next process finishes the deployment, once", async () => {
  const folder = await mkdtemp(join(tmpdir(), "colibri-killed-"));
  try {
    const id = await killWhileBuilding(folder);
    const finished = await run(folder, "finish", id);
    assert.deepEqual(JSON.parse(finished.at(-1)!), {
      state: "done",
      change: "created",
      revision: "r1",
      ends: 1,
      revisions: 1,
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

function start(folder: string, ...args: string[]) {
  return spawn(process.execPath, [KILLED, folder, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

/** The child says `building <id>` when its build is under way, and would never end. */
async function killWhileBuilding(folder: string): Promise<string> {
  const child = start(folder, "hang");
  let id = "";
  for await (const line of createInterface({ input: child.stdout })) {
    id = line.split(" ")[1]!;
    child.kill("SIGKILL");
  }
  assert.notEqual(id, "");
  return id;
}

async function run(folder: string, ...args: string[]): Promise<string[]> {
  return Array.fromAsync(createInterface({ input: start(folder, ...args).stdout }));
}
