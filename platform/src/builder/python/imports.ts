import { fileURLToPath } from "node:url";
import { buildFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";

const CHECKER = fileURLToPath(new URL("./check_imports.py", import.meta.url));

interface MissingModule {
  readonly file: string;
  readonly line: number;
  readonly name: string;
  readonly certain: boolean;
}

/** Refuses a Python handler that can't load for want of a module, and warns where code may bring it. Packages are installed before. */
export async function checkPythonImports(
  { run, source, onStep }: Job,
  { variables }: ToolEnvironment,
  python: readonly string[],
  file: string,
): Promise<void> {
  const outcome = await run({
    ...{ name: "python3", command: python, args: ["-I", "-S", "-B", "-W", "ignore", CHECKER, file], folder: source },
    environment: variables,
    isQuiet: true,
  });
  if (outcome.kind === "missing") throw buildFailed("Python 3 is not installed on the host of the platform.");
  if (outcome.code !== 0)
    throw new Error(`what ${file} imports could not be read: ${outcome.lines.slice(-3).join("; ")}`);
  const missing = outcome.lines.filter((line) => line !== "").map((line) => JSON.parse(line) as MissingModule);
  const [first] = missing.filter(({ certain }) => certain);
  if (first !== undefined) throw buildFailed(`${told(first)}: ${remedyOf(first)}.`);
  for (const each of missing) onStep(`Warning: ${told(each)}, unless the code brings it: ${remedyOf(each)}`);
}

function told({ file, line, name }: MissingModule): string {
  const where = name.includes(".")
    ? "is not in the function's folder"
    : "is neither a file of the function nor installed";
  return `${file}:${line} imports ${name}, which ${where}`;
}

function remedyOf({ name }: MissingModule): string {
  return name.includes(".")
    ? "correct the name, or add the file"
    : "name its package in requirements.txt, or add the file";
}
