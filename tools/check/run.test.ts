import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";

// The runner writes to the terminal, so each test has one in a process of its own.
function startRunner(
  t: TestContext,
  steps: Array<{ name: string; args?: string[] }>,
  { bail = false, root = process.cwd() } = {},
): ChildProcess {
  const source = `
    import { Runner } from ${JSON.stringify(import.meta.resolve("./run.ts"))};
    const runner = new Runner(${JSON.stringify(root)});
    process.on("SIGTERM", () => runner.stop());
    console.log("RESULTS " + JSON.stringify(await runner.run(${JSON.stringify(steps)}, ${bail})));
  `;
  const args = ["--input-type=module", "--eval", source];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function linesUntilEnd(child: ChildProcess, onLine: (line: string) => void = () => {}): Promise<string[]> {
  assert.ok(child.stdout);
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
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

function step(name: string, source: string): { name: string; args: string[] } {
  return { name, args: ["--eval", source] };
}

test("later steps run after a failed one, and their output comes through", async (t) => {
  const steps = [step("one", "process.exit(3)"), { name: "two" }, step("three", "console.log('from three')")];
  const lines = await linesUntilEnd(startRunner(t, steps));
  assert.deepEqual(outcomesIn(lines), ["one failed", "two empty", "three passed"]);
  assert.ok(lines.includes("from three"));
});

test("with bail nothing runs after a failed step", async (t) => {
  const steps = [step("one", "process.exit(3)"), step("two", "console.log('from two')")];
  const lines = await linesUntilEnd(startRunner(t, steps, { bail: true }));
  assert.deepEqual(outcomesIn(lines), ["one failed", "two skipped"]);
  assert.ok(!lines.includes("from two"));
});

test("a step that dies of a signal failed", async (t) => {
  const lines = await linesUntilEnd(startRunner(t, [step("one", "process.kill(process.pid, 'SIGKILL')")]));
  assert.deepEqual(outcomesIn(lines), ["one failed"]);
});

test("stop ends the step under way with its children, and starts no other", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "colibri-check-"));
  t.after(() => rm(folder, { recursive: true }));
  const sleeper = join(folder, "sleeper.mjs");
  await writeFile(
    sleeper,
    "process.on('SIGINT', () => {}); console.log('PID ' + process.pid); setInterval(() => {}, 1000);",
  );
  const parent = `require("node:child_process").spawn(process.execPath, [${JSON.stringify(sleeper)}], { stdio: "inherit" });`;
  const runner = startRunner(t, [step("one", parent), step("two", "")]);

  let sleeperPid = 0;
  const lines = await linesUntilEnd(runner, (line) => {
    if (!line.startsWith("PID ")) return;
    sleeperPid = Number(line.slice("PID ".length));
    runner.kill("SIGTERM");
  });
  // The output ended, so nothing that held it is left: the sleeper, which ignores SIGINT, was killed with its group.
  assert.deepEqual(outcomesIn(lines), ["one failed", "two skipped"]);
  assert.ok(sleeperPid > 0);
});

test("a step that cannot be started failed, and says why", async (t) => {
  const runner = startRunner(t, [step("one", "")], { root: "/nowhere/at/all" });
  assert.ok(runner.stderr);
  const said = runner.stderr.toArray();
  assert.deepEqual(outcomesIn(await linesUntilEnd(runner)), ["one failed"]);
  assert.match(Buffer.concat(await said).toString(), /could not start .*ENOENT/);
});

test("check itself answers a wrong name with exit code 2", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "..", "check.ts"), "contracts"], {
    stdio: "ignore",
  });
  assert.deepEqual(await once(child, "exit"), [2, null]);
});
