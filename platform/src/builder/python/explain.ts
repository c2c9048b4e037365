import type { ToolOutcome } from "../job.ts";
import { NO_PIP } from "./sources.ts";

const UNREACHABLE =
  /Failed to establish a new connection: [^'")]+|Name or service not known|Connection refused|Temporary failure in name resolution|Read timed out|CERTIFICATE_VERIFY_FAILED/g;
const NOT_BUILT =
  /(?:Failed building wheel for|Failed to build|Could not build wheels for) ([A-Za-z0-9._-]+)|(Preparing metadata|Getting requirements to build wheel|Building wheel for ([A-Za-z0-9._-]+)|installing build dependencies)[^\n]*did not run successfully/i;

/** What pip said, made readable; undefined when it succeeded. `fileName` is the function's that names the packages. */
export function explainPip(
  outcome: ToolOutcome,
  fileName: string,
  installScripts: readonly string[],
): string | undefined {
  if (outcome.kind === "missing") return "Python 3 is not installed on the host of the platform.";
  if (outcome.code === 0) return undefined;
  const text = outcome.lines.join("\n");
  if (/No module named pip\b/.test(text)) return NO_PIP;
  // The last try's: pip tells each of them at length, and then that it found nothing.
  const unreachable = [...text.matchAll(UNREACHABLE)].at(-1)?.[0];
  if (unreachable !== undefined)
    return `The package index can't be reached from the platform's host: ${unreachable}. Packages can be installed once it can: check the host's network, and PIP_INDEX_URL if it has an index of its own.`;
  const missing = /No matching distribution found for (\S+)/.exec(text)?.[1];
  const notBuilt = NOT_BUILT.exec(text);
  if (notBuilt !== null) return explainBuild(notBuilt, outcome.lines, missing, installScripts);
  if (missing !== undefined) return noWheel(missing, installScripts);
  if (/THESE PACKAGES DO NOT MATCH THE HASHES/.test(text))
    return `A package does not have the hash that ${fileName} gives it: ${complaintsOf(outcome.lines)}`;
  return `pip failed: ${complaintsOf(outcome.lines)}`;
}

/** Of an index that can't be reached pip tells at length each time it tries, and then, falsely, that it has no such package. */
export function createPipNoise(): (line: string) => boolean {
  let isUnreachable = false;
  return (line) => {
    const isRetry = /^\s*WARNING: Retrying \(Retry\(/.test(line);
    isUnreachable ||= isRetry;
    return isRetry || (isUnreachable && NOT_FOUND.test(line));
  };
}
const NOT_FOUND = /ERROR: (?:Could not find a version that satisfies|No matching distribution found)/;

function noWheel(requirement: string, installScripts: readonly string[]): string {
  const name = /^[A-Za-z0-9._-]+/.exec(requirement)?.[0] ?? requirement;
  const check = "check its name and version";
  if (installScripts.includes(name)) return `There is no ${requirement} in the package index: ${check}.`;
  return `There is no wheel of ${requirement} for the Python of this platform: ${check}. If it comes as source only, "build: { installScripts: [${name}] }" allows building it, which runs its code.`;
}

function explainBuild(
  [, failed, step = "Building the wheel", building]: RegExpExecArray,
  lines: readonly string[],
  missing: string | undefined,
  installScripts: readonly string[],
): string {
  const name = failed ?? building ?? installScripts.join(" or ");
  const compiler = /command '(\S+)' failed: No such file|(\S+): command not found|Unable to find a (compiler)/.exec(
    lines.join("\n"),
  );
  const header = /fatal error: (\S+\.h): No such file/.exec(lines.join("\n"))?.[1];
  const wayOut =
    missing !== undefined
      ? `its build needs ${missing}, of which the package index has no wheel`
      : header !== undefined
        ? `${header} is not on the host of the platform: install what brings it there (on Debian, of Python: apt-get install python3-dev)`
        : compiler !== null
          ? `${compiler.slice(1).find(Boolean)} is not on the host of the platform: install a compiler there (on Debian: apt-get install build-essential python3-dev)`
          : "mend what it says below";
  const last = lines.filter((line) => line.trim() !== "").slice(-10);
  return `Building ${name} from source failed (${step.toLowerCase()}): ${wayOut}, or choose a version that has a wheel for this Python.\nIts last lines:\n${last.map((line) => `  ${line.slice(0, 300)}`).join("\n")}`;
}

function complaintsOf(lines: readonly string[]): string {
  const errors = lines.filter((line) => /^\s*(?:ERROR|error)/.test(line));
  const told = errors.length > 0 ? errors.slice(-5) : lines.slice(-5);
  return (
    told
      .map((line) => line.trim())
      .join("; ")
      .slice(0, 1_500) || "it said nothing"
  );
}
