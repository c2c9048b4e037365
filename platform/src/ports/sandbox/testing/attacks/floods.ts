import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { OWN_FOLDERS, type Stage } from "./stage.ts";

const SMALL_MIB = 64;
const ROOMY_MIB = 512;
/** The kernel counts ahead in pages. */
const OVER_MIB = 1;
const BYTES_PER_MIB = 1 << 20;
const PROCESSES = 512;
const OPEN_FILES = 4_096;
const PENDING_SIGNALS = 1_024;
const MANY = 200_000;
const FLOOD_MS = 800;
const PROBES = 100;
/** More than without the hog, on a machine that may be busy with more than this. */
const PROBE_P99_MS = 250;
const PROBE_RATIO = 5;
const HOG_MS = 1_200;
const HOG_PROCESSES = 8;
const CPUS = 1;
/** The kernel counts in periods of 100 ms. */
const CPU_TOLERANCE = 1.3;
const TICKS_PER_SECOND = 100;
/** What nobody has read is bounded to a megabyte or so; the rest is what its runtime has not collected yet. */
const SPAWNER_GROWTH_MIB = 64;

interface Taken {
  readonly taken: number;
}

/** What a function takes of memory, files, processes, processor and the platform's patience. */
export function attackByFlood(stage: Stage): void {
  floodMemory(stage);
  floodCounts(stage);
  floodProcesses(stage);
  floodOutput(stage);
}

function floodMemory(stage: Stage): void {
  const { attack } = stage;
  const staysWithin = (id: string) =>
    assert.ok(stage.machine.peakMiB(id) <= SMALL_MIB + OVER_MIB, "it had more than its limit");
  /** It is refused, or its sandbox ends. */
  const floods = async (attacker: Parameters<Parameters<Stage["attack"]>[1]>[0], orders: object) => {
    const told = (await attacker.runToTheEnd("flood", orders)) as Taken | "cut";
    if (told !== "cut") staysWithin(attacker.sandbox.id);
    return told === "cut" ? undefined : told.taken;
  };

  attack(
    "has no more memory than its own",
    async (attacker) => {
      const { id } = attacker.sandbox;
      const most = watched(() => stage.machine.peakMiB(id));
      const told = await attacker.runToTheEnd("flood", { of: "memory" }).catch((error) => error);
      assert.ok(told === "cut" || told instanceof Error, `it was told ${told}`);
      assert.ok(most() <= SMALL_MIB + OVER_MIB, `it had ${most()} MiB`);
    },
    SMALL_MIB,
  );

  attack(
    "has no more files than its own memory holds",
    async (attacker) => {
      const folders = stage.machine.hasOwnKernel ? ["/tmp"] : OWN_FOLDERS;
      for (const folder of folders.toReversed()) {
        const taken = await floods(attacker, { of: `files ${folder}`, most: 2 * SMALL_MIB * BYTES_PER_MIB });
        if (taken === undefined) return;
        assert.ok(taken <= (SMALL_MIB / 2) * BYTES_PER_MIB, `${folder} took ${taken} bytes`);
      }
    },
    SMALL_MIB,
  );

  attack(
    "has no more names of files than its own memory holds",
    async (attacker) => {
      const folders = stage.machine.hasOwnKernel ? ["/run/colibri"] : OWN_FOLDERS;
      for (const folder of folders.toReversed()) {
        const taken = await floods(attacker, { of: `names ${folder}`, most: MANY });
        if (taken === undefined) return;
        assert.ok(taken <= (folder === "/run/colibri" ? 16 : 65_536), `${folder} took ${taken} files`);
      }
    },
    SMALL_MIB,
  );

  for (const what of ["pipes", "streams", "datagrams"])
    attack(
      `has no more in ${what} than its own memory`,
      async (attacker) => {
        const taken = await floods(attacker, { of: what, sockets: 300, most: 2 * SMALL_MIB * BYTES_PER_MIB });
        if (taken === undefined) return;
        assert.ok(taken > 0 && taken <= SMALL_MIB * BYTES_PER_MIB, `the kernel holds ${taken} bytes for it`);
      },
      SMALL_MIB,
    );
}

/** What the kernel has a number of. */
function floodCounts({ attack }: Stage): void {
  attack("has no more open files and waiting signals than its own", async ({ run }) => {
    const files = await run<Taken>("flood", { of: "descriptors" });
    assert.ok(files.taken > 0 && files.taken <= OPEN_FILES, `${files.taken} open files`);
    const { taken } = await run<Taken>("flood", { of: "signals", most: MANY });
    assert.ok(taken <= PENDING_SIGNALS, `${taken} signals`);
  });
}

function floodProcesses(stage: Stage): void {
  const { attack } = stage;
  attack(
    "forks no more than its own processes, and all of them end with it",
    async (attacker) => {
      const { machine } = stage;
      await attacker.runToTheEnd("flood", { of: "forks" });
      let most = 0;
      for (const untilMs = performance.now() + FLOOD_MS; performance.now() < untilMs; ) {
        most = Math.max(most, (await machine.pidsOf(attacker.sandbox.id)).length);
        await stage.neighbourIsWell();
      }
      if (!machine.hasOwnKernel) assert.ok(most > 100, `it had ${most} processes only`);
      assert.ok(most <= PROCESSES, `${most} processes`);
    },
    // So that it is their number that ends it.
    ROOMY_MIB,
  );

  attack("takes no more of the processor than its own, and its neighbour answers", async ({ run, sandbox }) => {
    const { machine } = stage;
    // A busy machine would hide it.
    assert.equal(machine.cpus(sandbox.id), CPUS);
    const aloneMs = await p99OfProbes(stage, 0);
    await run("flood", { of: "spin", processes: HOG_PROCESSES });
    const [startMs, startTicks] = [performance.now(), await ticksOf(machine, sandbox.id)];
    const besideMs = await p99OfProbes(stage, HOG_MS);
    const seconds = (performance.now() - startMs) / 1_000;
    const used = ((await ticksOf(machine, sandbox.id)) - startTicks) / TICKS_PER_SECOND / seconds;
    assert.ok(used <= CPUS * CPU_TOLERANCE, `it used ${used} processors`);
    assert.ok(
      besideMs <= PROBE_P99_MS + PROBE_RATIO * aloneMs,
      `the neighbour answered in ${besideMs}, not ${aloneMs} ms`,
    );
  });
}

/** What an answer of the neighbour takes. */
async function p99OfProbes(stage: Stage, forMs: number): Promise<number> {
  const startMs = performance.now();
  const tookMs: number[] = [];
  while (tookMs.length < PROBES || performance.now() - startMs < forMs) {
    const sentMs = performance.now();
    await stage.neighbourIsWell();
    tookMs.push(performance.now() - sentMs);
  }
  return tookMs.sort((a, b) => a - b)[Math.floor(tookMs.length * 0.99)]!;
}

function floodOutput(stage: Stage): void {
  stage.attack("fills no memory of the platform by what it writes", async ({ run }) => {
    const { spawnerPid } = stage.machine;
    const beforeMiB = residentMiB(spawnerPid);
    const most = watched(() => residentMiB(spawnerPid));
    const { bytes } = await run<{ bytes: number }>("shout", { forMs: FLOOD_MS });
    const growthMiB = most() - beforeMiB;
    assert.ok(bytes > 8 * BYTES_PER_MIB, `it wrote ${bytes} bytes only`);
    assert.ok(growthMiB <= SPAWNER_GROWTH_MIB, `the spawner grew by ${growthMiB} MiB`);
  });
}

/** The most that was seen until it is asked for. */
function watched(look: () => number): () => number {
  let most = look();
  const timer = setInterval(() => {
    most = Math.max(most, look());
  }, 20);
  return () => {
    clearInterval(timer);
    return most;
  };
}

function residentMiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** Processor time of all that runs in a sandbox. */
async function ticksOf(machine: Stage["machine"], id: string): Promise<number> {
  const pids = await machine.pidsOf(id);
  return pids.reduce((sum, pid) => sum + ticksOfProcess(pid), 0);
}

function ticksOfProcess(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
