import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dependenciesFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";
import { type Requirements, readRequirements, requirementsOf } from "./requirements.ts";

/** The file that says which packages a function takes, and what it says. */
export interface PythonDependencies {
  readonly fileName: string;
  readonly requirements: Requirements;
}

/** The first that is there counts: what pip reads itself, then locks, then what is not locked. */
const READ = ["requirements.txt", "pylock.toml", "uv.lock", "poetry.lock", "pyproject.toml"] as const;
/** What is not read, and what makes a requirements.txt of it. */
const OTHERS: readonly (readonly [string, string])[] = [
  ["Pipfile.lock", "pipenv requirements --hash > requirements.txt"],
  ["Pipfile", "pipenv lock && pipenv requirements --hash > requirements.txt"],
  ["pdm.lock", "pdm export --prod -o requirements.txt"],
  ["environment.yml", "pip freeze > requirements.txt"],
];
export const NO_PIP =
  "pip is not installed on the host of the platform: packages can't be installed until it is (on Debian: apt-get install python3-pip).";
const READER = fileURLToPath(new URL("./read_dependencies.py", import.meta.url));

export async function findPythonDependencies(
  job: Job,
  environment: ToolEnvironment,
  python: readonly string[],
): Promise<PythonDependencies | undefined> {
  const found: string[] = [];
  for (const name of READ) if (await isFile(join(job.source, name))) found.push(name);
  const [fileName, ...more] = found;
  if (fileName === undefined) return refuseOthers(job);
  const locks = more.filter((name) => name !== "pyproject.toml");
  if (locks.length > 0) job.onStep(`Packages are those of ${fileName}; ${locks.join(", ")} does not count`);
  if (fileName === "requirements.txt") return { fileName, requirements: await readRequirements(job.source, fileName) };
  return { fileName, requirements: await readByPython(job, environment, python, fileName) };
}

async function refuseOthers(job: Job): Promise<undefined> {
  for (const [name, command] of OTHERS)
    if (await isFile(join(job.source, name)))
      throw dependenciesFailed(
        `${name} is not read, and there is no requirements.txt: run "${command}" in the function's folder and deploy that, or leave ${name} out with .colibriignore if the function needs no packages.`,
      );
  if (await isFile(join(job.source, "setup.py")))
    job.onStep("setup.py is not run: dependencies are installed from requirements.txt or pyproject.toml");
}

async function readByPython(
  { run, source, scratch }: Job,
  { variables }: ToolEnvironment,
  python: readonly string[],
  fileName: string,
): Promise<Requirements> {
  const answerFile = join(scratch, "dependencies.json");
  const outcome = await run({
    ...{ name: "python3", command: python, args: ["-I", "-B", READER, fileName, answerFile], folder: source },
    environment: variables,
    isQuiet: true,
  });
  if (outcome.kind === "missing") throw dependenciesFailed("Python 3 is not installed on the host of the platform.");
  const text = outcome.lines.slice(-3).join("; ");
  if (/No module named '?pip\b/.test(text)) throw dependenciesFailed(NO_PIP);
  if (outcome.code !== 0) throw new Error(`${fileName} could not be read: ${text}`);
  const answer = JSON.parse(await readFile(answerFile, "utf8")) as Answer;
  if ("problem" in answer) throw dependenciesFailed(`${fileName}: ${answer.problem}.`);
  return requirementsOf(answer.requirements, fileName);
}

type Answer = { readonly requirements: readonly string[] } | { readonly problem: string };

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
