// Which steps a command line asks for. Pure: the runner performs them.
import { join } from "node:path";

/** `args` go to this Node; undefined when there is nothing to run. A step still running after `limitMs` hangs. */
export type Step = { name: string; args: string[] | undefined; limitMs: number };
export type Plan = { kind: "run"; steps: Step[]; bail: boolean } | { kind: "refused"; message: string };

type Area = { name: string; holds: (path: string) => boolean; limitMs: number; flags: string[] };

const CHECK_LIMIT_MS = 60_000;
const INSTALL_LIMIT_MS = 180_000;
const CHECKS: Array<Step & { args: string[] }> = [
  // Without what it installs tests are skipped, and say so.
  { name: "programs", args: ["tools/programs.ts"], limitMs: INSTALL_LIMIT_MS },
  { name: "tidy", args: ["tools/tidy.ts"], limitMs: CHECK_LIMIT_MS },
  {
    name: "biome",
    args: [join("node_modules", "@biomejs", "biome", "bin", "biome"), "check", "."],
    limitMs: CHECK_LIMIT_MS,
  },
  {
    name: "types",
    args: [join("node_modules", "typescript", "bin", "tsc"), "--noEmit"],
    limitMs: CHECK_LIMIT_MS,
  },
];

// In this order, so that the cheap and precise ones speak first. The limits are apart from node's own timeout, which ends
// a test that hangs but waits for ever for a file that left a timer or a socket open.
const AREAS: Area[] = [
  { name: "contract", holds: (path) => path.startsWith("contract/"), limitMs: 60_000, flags: [] },
  { name: "guest", holds: (path) => path.startsWith("guest/"), limitMs: 300_000, flags: ["--test-concurrency=3"] },
  {
    name: "clients",
    holds: (path) => path.startsWith("cli/") || path.startsWith("sdk/"),
    limitMs: 300_000,
    flags: ["--test-concurrency=3"],
  },
  // Most of these wait for processes, sockets and clocks: three at once keep two cores busy.
  { name: "platform", holds: isElsewhere, limitMs: 300_000, flags: ["--test-concurrency=3"] },
  // Each of these fills a machine by itself, and measures what neighbours notice.
  {
    name: "sandboxes",
    holds: (path) => path.startsWith("platform/src/drivers/sandbox/container/"),
    limitMs: 600_000,
    flags: ["--test-concurrency=1"],
  },
  { name: "simulation", holds: (path) => path.startsWith("test/simulation/"), limitMs: 120_000, flags: [] },
  {
    name: "endtoend",
    holds: (path) => path.startsWith("test/endtoend/"),
    limitMs: 900_000,
    flags: ["--test-concurrency=1"],
  },
];
const TEST_TIMEOUT_MS = 60_000;

/** The `*.test.ts` files of the repository, out of all its files. Fixtures and examples are input, not tests of ours. */
export function testFilesIn(paths: string[]): string[] {
  return paths.filter((path) => path.endsWith(".test.ts") && !/^(?:test\/fixtures|examples)\//.test(path));
}

/**
 * `args`: names of steps or areas, folders, test files; nothing means everything. `--bail` stops at the first failure,
 * `--test-…=…` goes on to node.
 */
export function planSteps(args: string[], testFiles: string[]): Plan {
  const wanted = args.filter((arg) => !arg.startsWith("-")).map((arg) => arg.replace(/^\.\//, "").replace(/\/$/, ""));
  const flags = args.filter((arg) => arg.startsWith("--test-"));
  const unknown = args.find((arg) => arg.startsWith("-") && arg !== "--bail" && !flags.includes(arg));
  if (unknown) return refused(`there is no option ${unknown}: --bail and node's --test-… are`);
  const names = wanted.length > 0 ? wanted : [...CHECKS, ...AREAS].map(({ name }) => name);
  const steps: Step[] = [];
  for (const name of names) {
    const step = stepFor(name, testFiles, flags);
    if (!step) return refused(`"${name}" is no step, and no test lies there. ${whatThereIs()}`);
    steps.push(step);
  }
  return { kind: "run", steps, bail: args.includes("--bail") };
}

function stepFor(name: string, testFiles: string[], flags: string[]): Step | undefined {
  const check = CHECKS.find((candidate) => candidate.name === name);
  if (check) return check;
  const area = AREAS.find((candidate) => candidate.name === name);
  if (area) return testStep(name, testFiles.filter(area.holds), area, flags);
  const files = testFiles.filter((path) => path === name || path.startsWith(`${name}/`));
  const holder = AREAS.find(({ holds }) => files[0] !== undefined && holds(files[0]));
  return holder && testStep(name, files, holder, flags);
}

function testStep(name: string, files: string[], area: Area, flags: string[]): Step {
  if (files.length === 0) return { name, args: undefined, limitMs: area.limitMs };
  const options = ["--test", "--test-reporter=spec", `--test-timeout=${TEST_TIMEOUT_MS}`, ...area.flags, ...flags];
  return { name, args: [...options, ...files], limitMs: area.limitMs };
}

function isElsewhere(path: string): boolean {
  return !AREAS.some((area) => area.holds !== isElsewhere && area.holds(path));
}

function refused(message: string): Plan {
  return { kind: "refused", message };
}

function whatThereIs(): string {
  return `Steps: ${[...CHECKS, ...AREAS].map(({ name }) => name).join(", ")}; or a folder or a *.test.ts file.`;
}
