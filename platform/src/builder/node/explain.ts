import { stripVTControlCharacters } from "node:util";
import type { Manager } from "./lock-file.ts";

/** What went wrong, by what npm, pnpm and Yarn print about it. The first that fits counts. */
const CAUSES: readonly (readonly [Cause, RegExp])[] = [
  [
    "outdated",
    /(?:Missing|Invalid): .* (?:from|in) lock file|lock file's .* does not satisfy|ERR_PNPM_(?:OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH|LOCKFILE_MISSING_DEPENDENCY|FROZEN_LOCKFILE\w*)|Your lockfile needs to be updated|YN0028/,
  ],
  [
    "changed",
    /code EINTEGRITY|ERR_PNPM_TARBALL_INTEGRITY|Integrity check failed|Incorrect integrity|YN0018|ERR_PNPM_MODIFIED/,
  ],
  [
    "absent",
    /code (?:E404|ETARGET)|ERR_PNPM_(?:FETCH_404|NO_MATCHING_VERSION)|Request failed \\?"404|Couldn't find (?:any versions|package)|YN00(?:35|82).*|Response Code.*404|error sending|HTTPError: .*404/,
  ],
  [
    "unreachable",
    /\b(ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EAI_AGAIN|ERR_SOCKET_TIMEOUT|ESOCKETTIMEDOUT|EIDLETIMEOUT|FETCH_ERROR|TimeoutError|timed? ?out|network timeout|UNABLE_TO_GET_ISSUER_CERT\w*|SELF_SIGNED\w*)\b|There appears to be trouble with your network/i,
  ],
];
type Cause = "outdated" | "changed" | "absent" | "unreachable";

/** A failed installation, made readable: what is wrong and what to do. */
export function explainFailure(tool: Manager, lockFile: string, printed: readonly string[]): string {
  const lines = printed.map((line) => stripVTControlCharacters(line));
  const text = lines.join("\n");
  const again = `run "${tool} install" in the function's folder and deploy again`;
  const told = complaintsOf(lines);
  const [cause, form] = CAUSES.find(([, pattern]) => pattern.test(text)) ?? [];
  switch (cause) {
    case "outdated":
      return `${lockFile} does not match package.json (${differencesIn(text) || told}): ${again}.`;
    case "changed":
      return `A package is not what ${lockFile} says it is; if that is meant so, ${again}: ${told}`;
    case "absent":
      return `A package of ${lockFile} is not in the registry: ${told}`;
    case "unreachable":
      return `The package registry can't be reached from the platform's host (${form!.exec(text)?.[1] ?? "no answer"}): check its network, or npm_config_registry. ${told}`;
    case undefined:
      return `${tool} failed: ${told}`;
  }
}

function differencesIn(text: string): string {
  return [...text.matchAll(/npm (?:error|ERR!) ((?:Missing|Invalid): .*)/g)]
    .slice(0, 5)
    .map(([, what]) => what)
    .join("; ");
}

/** After some complaints npm prints all the options that its command has: nobody here typed it. */
export function createNpmNoise(): (line: string) => boolean {
  let isUsage = false;
  return (text) => {
    const [, line] = /^npm (?:error|ERR!)(.*)$/.exec(stripVTControlCharacters(text)) ?? [];
    if (line === undefined) return false;
    isUsage ||= /^ (?:Clean install a project|Usage:)$/.test(line);
    return isUsage;
  };
}

/** What tells nothing about the cause. */
const NOISE =
  /^(?:A complete log|Log files were not|code \w+$|errno |404\s*$|404 (?:Note|tarball)|info |└|┌|·)|For a full report|^Completed/;
const COMPLAINT =
  /^(?:npm (?:error|ERR!)|error|ERR_\w+:?|\[ERR[^\]]*\]|\s*ERR_PNPM_\w+|➤ YN(?!0000|0013)\d{4}: [│└]?)\s*(.*)/;

/** The lines with which a tool complains, without their frames; else the last ones. */
export function complaintsOf(lines: readonly string[]): string {
  const complaints = lines
    .map((line) => COMPLAINT.exec(line)?.[1]?.trim() ?? "")
    .filter((line) => line !== "" && !NOISE.test(line));
  const told = complaints.length > 0 ? complaints.slice(0, 6) : lines.slice(-5).map((line) => line.trim());
  return told.join("; ").slice(0, 1_500) || "it said nothing";
}
