import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSilentLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { createSpawnerProcess } from "./spawner-process.ts";

/** What the n-th does, by n. */
const PROGRAM = `import { appendFileSync, readFileSync } from "node:fs";
const [log] = process.argv.slice(2);
appendFileSync(log, process.pid + "\\n");
const number = readFileSync(log, "utf8").split("\\n").length - 1;
const does = JSON.parse(readFileSync(log + ".does", "utf8"))[number - 1] ?? "serves";
if (does === "ends") process.exit(1);
setInterval(() => {}, 1_000);
process.once("disconnect", () => does === "hangs" || process.exit(0));
if (does !== "is never ready") process.send("ready");
`;
type Does = "serves" | "ends" | "hangs" | "is never ready";
const never = new AbortController().signal;

class NotedClock extends SimulatedClock {
  readonly delays: number[] = [];
  override after(delayMs: number, action: () => void) {
    this.delays.push(delayMs);
    return super.after(delayMs, action);
  }
}

function made(t: TestContext, ...does: Does[]) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-dev-spawner-"));
  const address = join(folder, "log");
  const program = join(folder, "program.mjs");
  writeFileSync(program, PROGRAM);
  writeFileSync(`${address}.does`, JSON.stringify(does));
  appendFileSync(address, "");
  const pids = () => readFileSync(address, "utf8").split("\n").filter(Boolean).map(Number);
  t.after(() => {
    for (const pid of pids().filter(lives)) process.kill(pid, "SIGKILL");
    rmSync(folder, { recursive: true });
  });
  const clock = new NotedClock();
  const deps = { clock, random: createSeededRandom(1), log: createSilentLog() };
  const spawner = createSpawnerProcess(deps, { address, logLevel: "error", program });
  return { clock, spawner, pids };
}

/** Of no zombie. */
function lives(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false;
  return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!isSo()) {
    assert.ok(performance.now() < end, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("one that ends is followed by the next, also when starts fail, after waits that double until one has run for long", async (t) => {
  const { clock, spawner, pids } = made(t, "serves", "ends", "ends");
  await spawner.open(never);
  /** Lets the n-th wait end, which is at most so long. */
  const wait = async (number: number, most: number) => {
    // Before each wait comes a start, which must be over in time.
    await until(`wait ${number}`, () => clock.delays.length === 2 * number);
    const ms = clock.delays.at(-1)!;
    assert.ok(ms >= most / 2 && ms <= most, `wait ${number} takes ${ms} ms`);
    await clock.advance(ms);
    await until(`start ${number + 1}`, () => pids().length === number + 1);
  };
  const isReady = () => until("it is ready", () => clock.pending === 0);
  process.kill(pids()[0]!, "SIGKILL");
  await wait(1, 100);
  await wait(2, 200);
  await wait(3, 400);
  await isReady();
  process.kill(pids()[3]!, "SIGKILL");
  await wait(4, 800);
  await isReady();
  await clock.advance(30_000);
  process.kill(pids()[4]!, "SIGKILL");
  await wait(5, 100);
  await isReady();
  assert.equal(await spawner.close(), "ended");
  assert.equal(lives(pids()[5]!), false);
});

test("one that hangs is killed when it is closed, and whoever closes is told that guests may be left", async (t) => {
  const { clock, spawner, pids } = made(t, "hangs");
  await spawner.open(never);
  const closed = spawner.close();
  await clock.advance(15_000);
  assert.equal(await closed, "left");
  assert.equal(lives(pids()[0]!), false);
  assert.equal(await spawner.close(), "left");
});

test("closed while there is none, it starts none any more", async (t) => {
  const { clock, spawner, pids } = made(t, "serves");
  await spawner.open(never);
  process.kill(pids()[0]!, "SIGKILL");
  await until("the wait", () => clock.delays.length === 2);
  assert.equal(await spawner.close(), "left");
  await clock.advance(10_000);
  assert.equal(pids().length, 1);
});

test("an open that is given up, or takes too long, leaves none", async (t) => {
  const given = made(t, "is never ready");
  const controller = new AbortController();
  const opened = given.spawner.open(controller.signal);
  await until("it runs", () => given.pids().length === 1);
  controller.abort(new Error("Ctrl-C"));
  await assert.rejects(opened, { message: "Ctrl-C" });
  assert.equal(lives(given.pids()[0]!), false);
  assert.equal(await given.spawner.close(), "ended");
  const slow = made(t, "is never ready");
  const late = assert.rejects(slow.spawner.open(never), { code: "unavailable" });
  await until("it runs", () => slow.pids().length === 1);
  await slow.clock.advance(20_000);
  await late;
  assert.equal(lives(slow.pids()[0]!), false);
});
