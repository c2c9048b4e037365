/**
 * The thread in which control.db is used, so that its file operations never hold up control.
 * Owns the only connection. Each call runs its queries one after another; a transaction keeps the connection to itself.
 */
import { accessSync, constants, existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import type { Kysely } from "kysely";
import { assert } from "#base/assert.ts";
import { storageTrouble } from "#base/storage-trouble.ts";
import type { StoreMethods } from "#ports/store/index.ts";
import { createDeployments } from "./deployments.ts";
import { createQueries } from "./dialect.ts";
import { createFunctions } from "./functions.ts";
import { migrate } from "./migrations.ts";
import { plansNow, plansSince } from "./plans.ts";
import { type FromWorker, failureOf, type ToWorker, type WorkerOptions } from "./protocol.ts";
import { releaseIn } from "./release.ts";
import type { Database } from "./schema.ts";

const options = workerData as WorkerOptions;
assert(parentPort !== null, "the store's worker was started outside of a worker thread");
const port = parentPort;
const send = (message: FromWorker) => port.postMessage(message);

function openDatabase(path: string): DatabaseSync {
  // SQLite would say no more than that it can't write.
  if (existsSync(path)) accessSync(path, constants.R_OK | constants.W_OK);
  const database = new DatabaseSync(path);
  // FULL: what was answered is on disk, also when the machine loses power.
  database.exec(
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000",
  );
  migrate(database);
  database.prepare("INSERT INTO meta (name, value) VALUES ('id', ?) ON CONFLICT DO NOTHING").run(options.id);
  return database;
}

function methodsOn(db: Kysely<Database>): StoreMethods {
  return {
    ...createFunctions(db, options.limits),
    ...createDeployments(db, options.limits),
    release: (tenant, release) => releaseIn(db, options.limits, tenant, release),
    plansNow: (topic) => plansNow(db, topic),
    plansSince: (topic, after) => plansSince(db, topic, after),
    async identity() {
      const { value } = await db.selectFrom("meta").select("value").where("name", "=", "id").executeTakeFirstOrThrow();
      const { newest } = await db.selectFrom("plan_numbers").select("newest").executeTakeFirstOrThrow();
      return { id: value, number: newest };
    },
  };
}

function serve(database: DatabaseSync): void {
  const methods = methodsOn(createQueries(database));
  const running = new Set<Promise<void>>();
  const answer = async ({ call, method, args }: ToWorker & { kind: "call" }) => {
    try {
      const value = await (methods[method] as (...args: readonly unknown[]) => Promise<unknown>)(...args);
      send({ kind: "answer", call, value });
    } catch (error) {
      send({ kind: "failed", call, failure: failureOf(error, `answer "${method}"`) });
    }
  };
  port.on("message", async (message: ToWorker) => {
    if (message.kind === "call") {
      const task = answer(message).finally(() => running.delete(task));
      running.add(task);
      return;
    }
    await Promise.all(running);
    database.close();
    port.close();
  });
}

try {
  const database = openDatabase(options.path);
  serve(database);
  send({ kind: "ready" });
} catch (error) {
  send({ kind: "unusable", failure: failureOf(storageTrouble(error) ?? error, `be opened at ${options.path}`) });
  port.close();
}
