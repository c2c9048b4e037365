// How long networks of sandboxes take: `node bin/colibri node platform/src/drivers/sandbox/container/network/bench.ts`, as root.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSystemClock, sleep } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { enterMountTable, newHome } from "./fake-internet.fixture.ts";
import { createSandboxNetworks, type SandboxNetworks } from "./networks.ts";

const SINGLE = 20;
const BATCH = 64;
const HITS = 30;

const clock = createSystemClock();
const folder = mkdtempSync(join(tmpdir(), "colibri-networks-"));

async function withNetworks(poolSize: number, use: (networks: SandboxNetworks) => Promise<void>): Promise<void> {
  const deps = { clock, random: createSystemRandom(), log: createSilentLog() };
  const networks = createSandboxNetworks(deps, { home: newHome(), folder, poolSize });
  await networks.open(new AbortController().signal);
  await use(networks).finally(() => networks.close());
}

async function timed<T>(samples: number[], action: () => Promise<T>): Promise<T> {
  const start = clock.monotonic();
  const result = await action();
  samples.push(clock.monotonic() - start);
  return result;
}

function report(what: string, samples: readonly number[], per = 1): void {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)]! / per).toFixed(3);
  console.log(`${what}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
}

await enterMountTable();
await withNetworks(0, async (networks) => {
  const [made, none, allow, released]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < SINGLE; round++) {
    const network = await timed(made, () => networks.take());
    await timed(none, () => network.apply({ kind: "none" }));
    await timed(allow, () => network.apply({ kind: "allow", hosts: ["example.com", "203.0.113.0/24:443"] }));
    await timed(released, () => network.release());
  }
  report("made alone", made);
  report("apply none", none);
  report("apply allow", allow);
  report("released alone", released);
  const [together, gone]: [number[], number[]] = [[], []];
  const taken = await timed(together, () => Promise.all(Array.from({ length: BATCH }, () => networks.take())));
  await timed(gone, () => Promise.all(taken.map((network) => network.release())));
  report(`made, each of ${BATCH}`, together, BATCH);
  report(`released, each of ${BATCH}`, gone, BATCH);
});
await withNetworks(HITS, async (networks) => {
  await sleep(clock, 3_000);
  const hits: number[] = [];
  const taken = [];
  for (let round = 0; round < HITS; round++) taken.push(await timed(hits, () => networks.take()));
  report("taken from the pool", hits);
  await Promise.all(taken.map((network) => network.release()));
});
rmSync(folder, { recursive: true, force: true });
