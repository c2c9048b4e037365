import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import type { Step } from "./plan.ts";
import type { RunnerOptions } from "./run.ts";

type Setup = { bail?: boolean; root?: string; options?: Partial<RunnerOptions> };

// The runner writes to the terminal, so each test has one in a process of its own.
function startRunner(
  t: TestContext,
  steps: Array<Partial<Step>>,
  { bail = false, root = process.cwd(), options = {} }: Setup = {},
): ChildProcess {
  const source = `
    import { Runner } from ${JSON.stringify(import.meta.resolve("./run.ts"))};
    const runner = new Runner(${JSON.stringify(root)}, ${JSON.stringify(options)});
    process.on("SIGTERM", () => runner.stop());
    process.on("SIGHUP", () => (runner.stop(), runner.stop()));
    console.log("RESULTS " + JSON.stringify(await runner.run(${JSON.stringify(steps)}, ${bail})));
  `;
  const args = ["--input-type=module", "--eval", source];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function linesUntilEnd(
  t: TestContext,
  child: ChildProcess,
  onLine: (line: string) => void = () => {},
): Promise<string[]> {
  assert.ok(child.stdout);
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    // A step that says its process id is one that would stay behind if this test failed.
    if (line.startsWith("PID ")) t.after(() => killIfThere(Number(line.slice("PID ".length))));
    onLine(line);
  }
  return lines;
}

function outcomesIn(lines: string[]): string[] {
  const results = lines.find((line) => line.startsWith("RESULTS "))?.slice("RESULTS ".length) ?? "[]";
  return (JSON.parse(results) as Array<{ name: string; outcome: string }>).map(
    ({ name, outcome }) => `${name} ${outcome}`,
  );
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
  }
}

function step(name: string, source: string, limitMs = 30_000): Step {
  return { name, args: ["--eval", source], limitMs };
}

test("later steps run after a failed one, and their output comes through", async (t) => {
  const steps = [step("one", "process.exit(3)"), { name: "two" }, step("three", "console.log('from three')")];
  const lines = await linesUntilEnd(t, startRunner(t, steps));
  assert.deepEqual(outcomesIn(lines), ["one failed", "two empty", "three passed"]);
  assert.ok(lines.includes("from three"));
});

test("with bail nothing runs after a failed step", async (t) => {
  const steps = [step("one", "process.exit(3)"), step("two", "console.log('from two')")];
  const lines = await linesUntilEnd(t, startRunner(t, steps, { bail: true }));
  assert.deepEqual(outcomesIn(lines), ["one failed", "two skipped"]);
  assert.ok(!lines.includes("from two"));
});

test("a step that dies of a signal failed", async (t) => {
  const lines = await linesUntilEnd(t, startRunner(t, [step("one", "process.kill(process.pid, 'SIGKILL')")]));
  assert.deepEqual(outcomesIn(lines), ["one failed"]);
});

const HANGS = "console.log('PID ' + process.pid); setInterval(() => {}, 1000);";
const IGNORES_SIGINT = `process.on("SIGINT", () => {}); ${HANGS}`;

test("stop, or two at once, interrupts the step under way, leaves none of its children, and starts no other", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "colibri-check-"));
  t.after(() => rm(folder, { recursive: true }));
  const sleeper = join(folder, "sleeper.mjs");
  await writeFile(sleeper, IGNORES_SIGINT);
  const parent = `
    process.on("SIGINT", () => { console.log("interrupted"); process.exit(); });
    require("node:child_process").spawn(process.execPath, [${JSON.stringify(sleeper)}], { stdio: "inherit" });
  `;
  const runner = startRunner(t, [step("one", parent), step("two", "")]);

  // The output ends when nothing that holds it is left: the sleeper was killed with its group.
  const lines = await linesUntilEnd(t, runner, (line) => {
    if (!line.startsWith("PID ")) return;
    // Two stops at once: were the second a kill, the step could not say that it was interrupted.
    runner.kill("SIGHUP");
  });
  assert.ok(lines.includes("interrupted"));
  assert.deepEqual(outcomesIn(lines), ["one failed", "two skipped"]);
});

test("a step that ignores the interrupt is killed by a later stop, or after the grace", async (t) => {
  const stubborn = `${IGNORES_SIGINT} process.on("SIGINT", () => console.log("ignored"));`;
  const never = 3_600_000;
  for (const options of [
    { graceMs: never, sameStopMs: -1 },
    { graceMs: 1, sameStopMs: never },
  ]) {
    const runner = startRunner(t, [step("one", stubborn)], { options });
    const lines = await linesUntilEnd(t, runner, (line) => {
      if (line.startsWith("PID ") || line === "ignored") runner.kill("SIGTERM");
    });
    assert.deepEqual(outcomesIn(lines), ["one failed"]);
  }
});

test("a step that hangs is ended at its limit, and the next one runs", async (t) => {
  const lines = await linesUntilEnd(t, startRunner(t, [step("one", HANGS, 300), step("two", "")]));
  assert.deepEqual(outcomesIn(lines), ["one failed", "two passed"]);
});

test("a step that cannot be started failed, and says why", async (t) => {
  const runner = startRunner(t, [step("one", "")], { root: "/nowhere/at/all" });
  assert.ok(runner.stderr);
  const said = runner.stderr.toArray();
  assert.deepEqual(outcomesIn(await linesUntilEnd(t, runner)), ["one failed"]);
  assert.match(Buffer.concat(await said).toString(), /one: could not start: .*ENOENT/);
});

test("check itself answers a wrong name with exit code 2", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "..", "check.ts"), "contracts"], {
    stdio: "ignore",
  });
  assert.deepEqual(await once(child, "exit"), [2, null]);
});
