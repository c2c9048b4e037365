// Whoever is killed, whenever: every caller gets one answer, and nothing is left over. COLIBRI_FAULTS_SECONDS=600 goes on for
// longer than the checks do, COLIBRI_FAULTS_SEED=… repeats the choice of whom to kill.
import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { describe, test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { probeContainers } from "#drivers/sandbox/container/probe.ts";
import { node, Place, type Platform, python, signal, startPlatform, until } from "./platform.ts";
import { guestsOf, processesOf, roleOf } from "./processes.ts";
import { groupsOf, leaksOf, pidsIn, remainsOf } from "./traces.ts";

const SECONDS = Number(process.env.COLIBRI_FAULTS_SECONDS ?? 20);
const SEED = Number(process.env.COLIBRI_FAULTS_SEED ?? Math.floor(Math.random() * 2 ** 32));
const FAULT_MS = { least: 150, most: 900 };
/** Between an answer and the caller's next request, at most. */
const PAUSE_MS = 60;
/** For what is left to be cleared away, on a machine that is busy. */
const SETTLE_MS = 60_000;
/** A kill is noticed by the gateway a moment later, and the clock of a caller is his own. */
const NOTICE_MS = 3_000;

const probe = await probeContainers({ wanted: undefined, searchPath: process.env.PATH ?? "" });
const skip = probe.works ? false : `no container sandboxes here: ${probe.reason}. ${probe.remedy}`;

function startContainers(environment: Record<string, string> = {}): Promise<Platform> {
  return startPlatform(
    new Place({ COLIBRI_SANDBOX: "container", COLIBRI_POOL: "nodejs:128=2,python:128=1", ...environment }),
  );
}

const ECHO = `
export default async ({ nonce, ms }) => {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  return { nonce };
};`;
const ECHO_PYTHON = `
import time
def handler(input, context):
    time.sleep(input["ms"] / 1000)
    return {"nonce": input["nonce"]}
`;

interface LoadKind {
  readonly callers: number;
  /** Of an invocation, at most. */
  readonly mostMs: number;
}
const LOAD: Readonly<Record<string, LoadKind>> = {
  "node-short": { callers: 3, mostMs: 0 },
  "node-long": { callers: 5, mostMs: 1_500 },
  "node-single": { callers: 3, mostMs: 200 },
  "node-processes": { callers: 2, mostMs: 300 },
  "python-short": { callers: 2, mostMs: 0 },
  "python-long": { callers: 4, mostMs: 1_500 },
  "python-single": { callers: 2, mostMs: 200 },
};
const FUNCTIONS = {
  "node-short": node(ECHO),
  "node-long": node(ECHO, { concurrency: 4 }),
  "node-single": node(ECHO, { concurrency: 1 }),
  "node-processes": node(ECHO, { execution: "process", concurrency: 2 }),
  "python-short": python(ECHO_PYTHON),
  "python-long": python(ECHO_PYTHON, { concurrency: 4 }),
  "python-single": python(ECHO_PYTHON, { concurrency: 1 }),
};

interface Said {
  readonly name: string;
  readonly nonce: string;
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly status: number;
  readonly code: string | undefined;
  readonly invocation: string;
  readonly body: string;
}

/**
 * One request at a time on one connection, which stays: an answer too many would be taken for the next request's, and its nonce
 * would be another's.
 */
class Caller {
  readonly #platform: Platform;
  readonly #name: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(platform: Platform, name: string) {
    this.#platform = platform;
    this.#name = name;
  }

  /** @throws when there is no answer. */
  ask(nonce: string, ms: number): Promise<Said> {
    const sentMs = Date.now();
    const headers = { "content-type": "application/json" };
    return new Promise((resolve, reject) => {
      const url = this.#platform.urlOf(`app/${this.#name}`);
      const outgoing = request(url, { agent: this.#agent, method: "POST", headers }, async (response) => {
        const body = Buffer.concat(await response.toArray()).toString();
        const { "colibri-error-code": code, "colibri-invocation-id": invocation } = response.headers;
        resolve({
          ...{ name: this.#name, nonce, sentMs, answeredMs: Date.now(), status: response.statusCode ?? 0 },
          ...{ code: code?.toString(), invocation: String(invocation), body },
        });
      });
      outgoing.on("error", (error) => reject(new Error(`${this.#name} ${nonce}: ${error.message}`, { cause: error })));
      outgoing.end(JSON.stringify({ nonce, ms }));
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Calls all functions until it is stopped. */
class Load {
  asked = 0;
  readonly said: Said[] = [];
  readonly unanswered: string[] = [];
  readonly #platform: Platform;
  readonly #callers: Promise<void>[];
  #over = false;

  constructor(platform: Platform) {
    this.#platform = platform;
    this.#callers = Object.entries(LOAD).flatMap(([name, kind]) =>
      Array.from({ length: kind.callers }, (_, index) => this.#run(name, kind, index)),
    );
  }

  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#callers);
  }

  async #run(name: string, { mostMs }: LoadKind, index: number): Promise<void> {
    const random = createSeededRandom(SEED + index);
    const caller = new Caller(this.#platform, name);
    for (let count = 0; !this.#over; count++) {
      this.asked++;
      await caller
        .ask(`${name}/${index}/${count}`, random.below(mostMs + 1))
        .then((said) => this.said.push(said))
        .catch((error) => this.unanswered.push(error.message));
      await pause(random.below(PAUSE_MS));
    }
    caller.close();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Kills one after the other. Resolves with when which sandbox was hit, and how often each kind of victim was. */
async function killAtRandom(home: string, untilMs: number) {
  const random = createSeededRandom(SEED);
  const hits = new Map<string, number[]>();
  const counts = { sandbox: 0, agent: 0, spawner: 0 };
  while (Date.now() < untilMs) {
    const dice = random.next();
    if (dice < 0.7) {
      const hit = killSandbox(home, random);
      if (hit !== undefined) hits.set(hit, [...(hits.get(hit) ?? []), Date.now()]);
      if (hit !== undefined) counts.sandbox++;
    } else {
      const role = dice < 0.85 ? "agent" : "spawner";
      const victim = roleOf(home, role);
      if (victim !== undefined && signal(victim.pid, "SIGKILL")) counts[role]++;
    }
    await pause(FAULT_MS.least + random.below(FAULT_MS.most - FAULT_MS.least));
  }
  return { hits, counts };
}

/** One process in it, which may be the first, the guest, or another; or all. */
function killSandbox(home: string, random: ReturnType<typeof createSeededRandom>): string | undefined {
  const sandboxes = groupsOf(home);
  const sandbox = sandboxes[random.below(sandboxes.length)];
  const pids = sandbox === undefined ? [] : pidsIn(home, sandbox);
  const victims = random.next() < 0.5 ? pids : pids.slice(random.below(pids.length)).slice(0, 1);
  for (const pid of victims) signal(pid, "SIGKILL");
  return victims.length > 0 ? sandbox : undefined;
}

/**
 * What a caller may be told: 200 with the answer to his own request; or 502, where the sandbox that ran it was hit meanwhile: what
 * user code has begun to do can't be begun again. Nothing else: what has not begun waits for another sandbox, 503 and 504 would
 * say that there was none in 30 s, and no code here throws.
 */
async function whatIsWrong(platform: Platform, said: Said, hits: Map<string, number[]>): Promise<string | undefined> {
  const { name, status, code, body, nonce, sentMs, answeredMs, invocation } = said;
  const told = `${name} ${nonce}: ${status} ${code} ${body.slice(0, 200)} after ${answeredMs - sentMs} ms`;
  if (status === 200) return JSON.parse(body).nonce === nonce ? undefined : `not its own answer: ${told}`;
  if (status !== 502 || !["function-exited", "sandbox-lost"].includes(code ?? "")) return told;
  const { sandbox } = await platform.record(`app/${name}`, invocation);
  const hit = hits.get(sandbox)?.some((atMs) => atMs >= sentMs - NOTICE_MS && atMs <= answeredMs);
  return hit ? undefined : `nobody hit sandbox ${sandbox}: ${told}`;
}

async function assertNothingLeaks(home: string): Promise<void> {
  let leaks: string[] = [];
  await until(
    "nothing leaks",
    () => {
      leaks = leaksOf(home);
      return leaks.length === 0;
    },
    SETTLE_MS,
  ).catch(() => assert.deepEqual(leaks, []));
}

/** Invocations by outcome, all functions together. */
async function countedBy(platform: Platform): Promise<number> {
  const { text } = await platform.api("/metrics");
  const counts = [...text.matchAll(/^colibri_invocations_total\{[^}]*\} (\d+)$/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

describe("containers", { skip }, () => {
  test(`killed at random under load: one answer each, and nothing leaks (COLIBRI_FAULTS_SEED=${SEED})`, {
    timeout: SECONDS * 1_000 + 200_000,
  }, async (t) => {
    const platform = await startContainers();
    try {
      await platform.deploy("app", FUNCTIONS);
      const load = new Load(platform);
      const { hits, counts } = await killAtRandom(platform.home, Date.now() + SECONDS * 1_000).finally(() =>
        load.stop(),
      );
      const outcomes = Object.groupBy(load.said, ({ status, code }) => `${status} ${code ?? ""}`.trim());
      const figures = Object.entries(outcomes).map(([outcome, all]) => `${all!.length} × ${outcome}`);
      t.diagnostic(`seed ${SEED}: killed ${JSON.stringify(counts)}; ${load.asked} requests: ${figures.join(", ")}`);
      assert.deepEqual(load.unanswered, []);
      assert.equal(load.said.length, load.asked);
      const wrong = await Promise.all(load.said.map((said) => whatIsWrong(platform, said, hits)));
      assert.deepEqual(wrong.filter(Boolean), []);
      assert.ok(counts.sandbox > 0 && counts.agent + counts.spawner > 0, "nobody was killed");
      await until("each invocation was counted once", async () => (await countedBy(platform)) === load.asked);
      await assertAnswers(platform);
      assert.equal((await platform.colibri("delete", "app")).code, 0);
      await assertNothingLeaks(platform.home);
    } finally {
      await platform.close();
    }
    assert.deepEqual(remainsOf(platform.home), []);
  });

  test("killed as a whole, what it leaves running is reaped when it is started again", {
    timeout: 150_000,
  }, async () => {
    const first = await startContainers();
    let second: Platform | undefined;
    try {
      await first.deploy("app", FUNCTIONS);
      await assertAnswers(first);
      const sandboxes = groupsOf(first.home);
      const guests = guestsOf(first.home).map(({ pid }) => pid);
      await killAll(first);
      const orphans = processesOf(first.home).map(({ pid }) => pid);
      assert.ok(
        guests.every((pid) => orphans.includes(pid)),
        "the sandboxes went with it: nothing is there to be reaped",
      );
      second = await startPlatform(first.place);
      await assertAnswers(second);
      await until("no process of the dead platform is left", () => !guests.some((pid) => isRunning(second!, pid)));
      assert.deepEqual(
        groupsOf(first.home).filter((id) => sandboxes.includes(id)),
        [],
      );
      assert.equal((await second.colibri("delete", "app")).code, 0);
      await assertNothingLeaks(second.home);
    } finally {
      await (second ?? first).close();
    }
    assert.deepEqual(remainsOf(first.home), []);
  });
});

async function assertAnswers(platform: Platform): Promise<void> {
  for (const name of Object.keys(FUNCTIONS)) {
    const caller = new Caller(platform, name);
    const { status, body } = await caller.ask("afterwards", 0).finally(() => caller.close());
    assert.deepEqual([status, body], [200, '{"nonce":"afterwards"}'], name);
  }
}

/** Launcher, supervisor and every role, of which none sees another go. */
async function killAll(platform: Platform): Promise<void> {
  const own = processesOf(platform.home).filter(({ sandbox }) => !sandbox);
  for (const { pid } of own) signal(pid, "SIGSTOP");
  for (const { pid } of own) signal(pid, "SIGKILL");
  await platform.ended;
  await until("the platform is dead", () => processesOf(platform.home).every(({ sandbox }) => sandbox));
}

function isRunning(platform: Platform, pid: number): boolean {
  return processesOf(platform.home).some((process) => process.pid === pid);
}
