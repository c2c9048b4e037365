// What `npm test`, `npm run check` and CI run: the checks, then the tests area by area. See CONTRIBUTING.md.
import { constants } from "node:os";
import { planSteps, testFilesIn } from "./check/plan.ts";
import { type Result, Runner } from "./check/run.ts";
import { listFiles, ROOT } from "./tree.ts";

/** The exit code: 0 only if nothing failed. */
async function check(root: string, args: string[]): Promise<number> {
  const plan = planSteps(args, testFilesIn(listFiles(root)));
  if (plan.kind === "refused") {
    console.error(plan.message);
    return 2;
  }
  const runner = new Runner(root);
  let exitCode = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      exitCode ||= 128 + constants.signals[signal];
      runner.stop();
    });
  }
  const results = await runner.run(plan.steps, plan.bail);
  console.log(`\n${summary(results)}`);
  if (results.some(({ outcome }) => outcome === "failed")) exitCode ||= 1;
  return exitCode;
}

function summary(results: Result[]): string {
  const width = Math.max(...results.map(({ name }) => name.length));
  const rows = results.map(({ name, outcome, seconds }) => {
    const time = outcome === "empty" || outcome === "skipped" ? "" : `${seconds.toFixed(1).padStart(8)} s`;
    return `  ${name.padEnd(width)}  ${outcome.padEnd("skipped".length)}${time}`.trimEnd();
  });
  return rows.join("\n");
}

if (import.meta.main) process.exitCode = await check(ROOT, process.argv.slice(2));
