/** Fetches a Git repository as a template, running nothing that is in it. */
import { type ChildProcess, spawn } from "node:child_process";
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Origin } from "./origin.ts";

const PROTOCOLS = ["https", "ssh", "file"];
/** Of a repository around us, or of one that a hook runs in: they would lead git elsewhere. */
const FOREIGN = /^GIT_(?:DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|NAMESPACE)$/;
const SAFE = [
  ["core.hooksPath", "/dev/null"],
  ["core.fsmonitor", "false"],
  ["submodule.recurse", "false"],
  ["advice.detachedHead", "false"],
  ["protocol.allow", "never"],
  ...PROTOCOLS.map((name) => [`protocol.${name}.allow`, "always"]),
].flatMap(([key, value]) => ["-c", `${key}=${value}`]);
const SAID_AT_MOST = 4_000;

/** Clones into `folder`, which must not be there. The folder in it that is the template. */
export async function fetchTemplate(
  surroundings: Pick<Surroundings, "env">,
  origin: Origin & { kind: "git" },
  folder: string,
  signal: AbortSignal,
): Promise<string> {
  const { address, branch, subfolder } = origin;
  const shown = withoutPassword(address);
  const wanted = branch === undefined ? [] : ["--branch", branch];
  const clone = ["clone", "--quiet", "--depth=1", "--single-branch", "--no-tags", "--no-local", "--template="];
  await git(
    surroundings,
    [...SAFE, ...clone, "--no-recurse-submodules", ...wanted, "--", address, folder],
    shown,
    signal,
  );
  return subfolder === undefined ? folder : within(folder, subfolder, shown);
}

/** As it may be told. */
function withoutPassword(address: string): string {
  return address.replace(/(\w+:\/\/)[^/@\s]*@/g, "$1***@");
}

/** Every step down is a real folder: a link could lead anywhere. */
function within(folder: string, subfolder: string, address: string): string {
  let inside = folder;
  for (const name of subfolder.split("/")) {
    inside = join(inside, name);
    if (!lstatSync(inside, { throwIfNoEntry: false })?.isDirectory())
      throw new CliError(`${address} has no folder ${subfolder}.`);
  }
  return inside;
}

async function git(
  { env }: Pick<Surroundings, "env">,
  args: string[],
  address: string,
  signal: AbortSignal,
): Promise<void> {
  const kept = Object.entries(env).filter(([name]) => !FOREIGN.test(name));
  const child = spawn("git", args, {
    env: {
      ...Object.fromEntries(kept),
      GIT_ALLOW_PROTOCOL: PROTOCOLS.join(":"),
      GIT_TERMINAL_PROMPT: "0",
      LC_ALL: "C",
    },
    stdio: ["ignore", "ignore", "pipe"],
    signal,
  });
  const said = collect(child);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) => reject(startFailure(error, signal)));
    child.once("close", resolve);
  });
  signal.throwIfAborted();
  if (code !== 0) throw new CliError(`${address} can't be fetched: ${withoutPassword(reasonIn(said()))}`);
}

function startFailure(error: NodeJS.ErrnoException, signal: AbortSignal): Error {
  if (signal.aborted) return signal.reason;
  if (error.code !== "ENOENT") return error;
  return new CliError("git is not on this machine, and a template from a Git URL needs it: apt-get install git");
}

function collect(child: ChildProcess): () => string {
  let said = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-SAID_AT_MOST);
  });
  return () => said;
}

/** What git called fatal, else its last line. */
function reasonIn(said: string): string {
  const lines = said.split("\n").filter((line) => line.trim() !== "");
  const fatal = lines.find((line) => /^(?:fatal|error): /.test(line)) ?? lines.at(-1) ?? "git said nothing";
  return fatal.replace(/^\w+: /, "");
}
