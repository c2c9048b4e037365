/** Releases functions named as their deployments, as fast as it can, and prints each one's id once it was acknowledged. */
import { writeSync } from "node:fs";
import { deploy, fresh } from "#ports/store/sample.ts";
import { createSqliteStore } from "./driver.ts";

const path = process.argv[2]!;
const store = createSqliteStore({ onLost: () => process.exit(1) }, { path, id: "suite" });
await store.open(AbortSignal.timeout(10_000));
const start = (await store.deployments("acme", { limit: 1 }))[0]?.id.slice(1) ?? "1000";
for (let number = Number(start) + 1; number < Number(start) + 1_000; number++) {
  const id = `D${number}`;
  const outcome = await deploy(store, id, [fresh(id.toLowerCase())]);
  if (outcome.kind === "released") writeSync(1, `${id}\n`);
}
