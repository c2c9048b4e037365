/** A spawner in a process of its own, to be killed; ends properly when its standard input does. */
import { createSystemClock } from "#base/clock.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSpawner } from "#platform/spawner/spawner.ts";

const deps = { network: createSocketNetwork(), clock: createSystemClock(), log: createSilentLog() };
const spawner = createSpawner(deps, { address: process.argv[2] ?? "", killMs: 500 });
await spawner.open(AbortSignal.timeout(5_000));
process.stdout.write("open\n");
process.stdin.resume().once("end", async () => {
  await spawner.close();
  process.exit(0);
});
