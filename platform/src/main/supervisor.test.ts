import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createSystemClock } from "#base/clock.ts";
import { createLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { type Config, readConfig } from "./config.ts";
import { type Role, Supervisor, type SupervisorOptions } from "./supervisor.ts";

const PATIENCE_MS = 15_000;

/** Roles of a fixture that do what `does` says, and all that is heard of them. */
function supervise(t: TestContext, does: string, watched: Partial<SupervisorOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-supervisor-"));
  const ready: { role: Role; pid: number; port: number; at: number }[] = [];
  const refused: string[] = [];
  const ended: string[] = [];
  const logged: { message: string; role?: string; ended?: string; pauseMs?: number }[] = [];
  let output = "";
  const clock = createSystemClock();
  const config: { now: Config } = { now: { ...readConfig({}, folder), bind: does } };
  const log = createLog({ clock, write: (line) => logged.push(JSON.parse(line)) }, { level: "info" });
  const supervisor = new Supervisor(
    { clock, random: createSeededRandom(1), log },
    { config: () => config.now, program: new URL("./role.fixture.ts", import.meta.url), ...watched },
    {
      ready: (role, facts) =>
        ready.push({ role, pid: Number(facts.pid), port: Number(facts.port), at: performance.now() }),
      refused: (_role, message) => refused.push(message),
      ended: (role, how) => ended.push(`${role} ${how}`),
      output: (_role, lines) => {
        output += lines;
      },
    },
  );
  t.after(async () => {
    await supervisor.stop();
    rmSync(folder, { recursive: true });
  });
  return { supervisor, ready, refused, ended, logged, config, output: () => output };
}

async function until(what: string, is: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!is()) {
    if (performance.now() > deadline) throw new Error(`never so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("a role that dies is started again, each time a little later, with what is configured by then", async (t) => {
  const { supervisor, ready, logged, config } = supervise(t, "exit");
  supervisor.start("gateway");
  await until("the first start", () => ready.length === 1);
  config.now = { ...config.now, port: 4_711 };
  await until("three more", () => ready.length >= 4);
  assert.equal(new Set(ready.map(({ pid }) => pid)).size, ready.length);
  assert.deepEqual([ready[0]!.port, ready[1]!.port], [8_080, 4_711]);
  const restarts = logged.filter(({ message }) => message === "a role ended and is started again");
  assert.equal(restarts[0]?.ended, "exit code 3");
  const pauses = restarts.map(({ pauseMs }) => pauseMs!);
  assert.ok(pauses[2]! > pauses[0]!, pauses.join(", "));
});

test("a role that is killed is started again though somebody it started holds its output", async (t) => {
  const { supervisor, ready, ended, logged } = supervise(t, "leave-a-child");
  supervisor.start("agent");
  await until("the first start", () => ready.length === 1);
  const begun = performance.now();
  process.kill(ready[0]!.pid, "SIGKILL");
  await until("the second start", () => ready.length === 2);
  assert.ok(performance.now() - begun < 2_500, "it waited for the output to end");
  assert.equal(logged.find(({ ended }) => ended !== undefined)?.ended, "SIGKILL");
  assert.deepEqual(ended, ["agent SIGKILL"]);
});

test("stopping ends every role, whatever it was doing, and starts none again", async (t) => {
  const { supervisor, ready } = supervise(t, "quiet");
  for (const role of ["control", "gateway", "agent"] as const) supervisor.start(role);
  await until("all three", () => ready.length === 3);
  await supervisor.stop();
  for (const { pid } of ready) assert.ok(!lives(pid));
  assert.equal(ready.length, 3);
});

test("stopping does not wait for the pause before a restart", async (t) => {
  const { supervisor, ready, logged } = supervise(t, "exit");
  supervisor.start("gateway");
  await until("a long pause", () => (logged.at(-1)?.pauseMs ?? 0) > 700);
  const begun = performance.now();
  const starts = ready.length;
  await supervisor.stop();
  assert.ok(performance.now() - begun < 600);
  assert.equal(ready.length, starts);
});

test("one that does not obey is killed at once when told so", async (t) => {
  const { supervisor, ready } = supervise(t, "stubborn");
  supervisor.start("gateway");
  await until("the start", () => ready.length === 1);
  const stopped = supervisor.stop();
  supervisor.kill();
  await stopped;
  assert.ok(!lives(ready[0]!.pid));
});

test("a refusal is told", async (t) => {
  const { supervisor, refused } = supervise(t, "refuse");
  supervisor.start("gateway");
  await until("the refusal", () => refused.length > 0);
  assert.equal(refused[0], "the port is taken");
});

test("roles that talk at once do not talk into each other's lines; a last line without an end gets one", async (t) => {
  const { supervisor, ready, output } = supervise(t, "talk");
  for (const role of ["control", "gateway", "agent"] as const) supervisor.start(role);
  await until("all three", () => ready.length === 3 && output().split("\n").length > 6);
  await supervisor.stop();
  const lines = output().split("\n");
  assert.equal(lines.pop(), "");
  for (const from of ["control", "gateway", "agent"]) {
    for (const line of [
      `{"from":"${from}","text":"begun ended"}`,
      `{"from":"${from}","text":"whole"}`,
      `{"from":"${from}","cut`,
    ])
      assert.ok(lines.includes(line), `${line} in ${lines.join("\n")}`);
  }
});

test("what a role's process says beside its log becomes lines of the log", async (t) => {
  const { supervisor, logged } = supervise(t, "complain");
  supervisor.start("gateway");
  await until("the complaint", () => logged.some(({ message }) => message === "a warning\nof two lines"));
  assert.equal(logged.find(({ message }) => message.startsWith("a warning"))?.role, "gateway");
});

const QUICK = { pingMs: 50, hungMs: 1_500 };

for (const [how, does] of [
  ["spins", "spin"],
  ["waits for what never comes", "wait"],
] as const)
  test(`a role whose event loop ${how} is killed and started again, and that is said in one line`, async (t) => {
    const { supervisor, ready, ended, logged } = supervise(t, does, QUICK);
    supervisor.start("control");
    await until("the second start", () => ready.length >= 2);
    assert.ok(!lives(ready[0]!.pid));
    assert.equal(ended[0], "control it gave no sign of life for 1.5 s and was killed");
    const lines = logged.filter(({ role }) => role === "control");
    assert.equal(lines[0]?.ended, "it gave no sign of life for 1.5 s and was killed");
  });

test("a role that is stopped is killed and started again, the spawner too; the others are left alone", async (t) => {
  const { supervisor, ready, ended } = supervise(t, "quiet", QUICK);
  for (const role of ["control", "spawner", "agent"] as const) supervisor.start(role);
  await until("all three", () => ready.length === 3);
  const first = new Map(ready.map(({ role, pid }) => [role, pid]));
  process.kill(first.get("spawner")!, "SIGSTOP");
  await until("another spawner", () => ready.length === 4);
  assert.equal(ready[3]!.role, "spawner");
  assert.ok(!lives(first.get("spawner")!));
  for (const role of ["control", "agent"] as const) assert.ok(lives(first.get(role)!));
  assert.deepEqual(ended, ["spawner it gave no sign of life for 1.5 s and was killed"]);
});

test("a role that is stopped for a shorter time is left alone, as often as that happens", async (t) => {
  const { supervisor, ready, ended } = supervise(t, "quiet", QUICK);
  supervisor.start("gateway");
  await until("the start", () => ready.length === 1);
  for (let time = 0; time < 3; time++) {
    process.kill(ready[0]!.pid, "SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 700));
    process.kill(ready[0]!.pid, "SIGCONT");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.deepEqual(ended, []);
  assert.ok(lives(ready[0]!.pid));
});

test("a role that died is not waited for: the next one is not blamed for its silence", async (t) => {
  const watched = { pingMs: 20, hungMs: 300 };
  const { supervisor, ready, ended } = supervise(t, "quiet", watched);
  supervisor.start("gateway");
  await until("the start", () => ready.length === 1);
  process.kill(ready[0]!.pid, "SIGKILL");
  await until("the second start", () => ready.length === 2);
  await new Promise((resolve) => setTimeout(resolve, 2 * watched.hungMs));
  process.kill(ready[1]!.pid, "SIGKILL");
  await until("the third start", () => ready.length === 3);
  assert.deepEqual(ended, ["gateway SIGKILL", "gateway SIGKILL"]);
});

test("a supervisor that is stopped for long kills nobody when it goes on", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "colibri-supervisor-"));
  const program = fileURLToPath(new URL("./supervisor.fixture.ts", import.meta.url));
  const child = spawn(process.execPath, [program, folder, JSON.stringify(QUICK)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  t.after(async () => {
    child.kill("SIGCONT");
    child.stdin.end();
    await exited;
    rmSync(folder, { recursive: true });
  });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await until("all three", () => said.split("ready").length === 4);
  child.kill("SIGSTOP");
  await new Promise((resolve) => setTimeout(resolve, 2 * QUICK.hungMs));
  const pids = said.match(/\d+/g)!.map(Number);
  // Stopped together, as by a suspended machine: they answer only when they go on, a little after the supervisor.
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  child.kill("SIGCONT");
  await new Promise((resolve) => setTimeout(resolve, QUICK.hungMs / 2));
  for (const pid of pids) process.kill(pid, "SIGCONT");
  await new Promise((resolve) => setTimeout(resolve, QUICK.hungMs));
  assert.ok(!said.includes("ended"), said);
  for (const pid of pids) assert.ok(lives(pid));
});
