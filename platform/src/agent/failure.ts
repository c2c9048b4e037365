import { assertNever } from "#base/assert.ts";
import type { Failure } from "#contract/errors.ts";
import type { SandboxExit } from "#ports/sandbox/index.ts";

const LONGEST_LINE = 500;

/** How far a sandbox has come: without user code, on the way with it, or ready for invocations at least once. */
export type Stage = "generic" | "starting" | "serving";

/** What a sandbox's end means to the user; undefined where the platform wanted it. */
export function failureOf(exit: SandboxExit, stage: Stage, stderr: string): Failure | undefined {
  const line = usefulLine(stderr);
  const reason = line === undefined ? "" : `: ${line}`;
  switch (exit.cause) {
    case "exited":
    case "killed":
      // Callers wait for the start: told that the function is to blame they would be refused, where another start may do.
      if (stage === "starting" && exit.fromOutside)
        return { code: "start-failed", message: `the function's process ${exit.detail} before it was ready${reason}` };
      return stage !== "generic"
        ? { code: "function-exited", message: `the function's process ${exit.detail}${reason}` }
        : { code: "start-failed", message: `the guest ${exit.detail} before it was given any code${reason}` };
    case "out-of-memory":
      return { code: "out-of-memory", message: exit.detail };
    case "start-failed":
      return { code: "start-failed", message: `${exit.detail}${reason}` };
    case "load-failed":
      return { code: "load-failed", message: `${exit.detail}${reason}` };
    case "violation":
      return { code: "guest-violation", message: exit.detail };
    case "host":
      return { code: "sandbox-lost", message: exit.detail };
    case "stopped":
    case "idle":
    case "grant-ended":
      return undefined;
    default:
      return assertNever(exit.cause, "cause of an end");
  }
}

/** The line of a crash's output that names its reason, else its last one. */
export function usefulLine(stderr: string): string | undefined {
  const lines = stderr.split("\n").map((line) => line.trim());
  const said = lines.filter((line) => line !== "" && !line.startsWith("at ") && !line.startsWith("Node.js v"));
  const named = said.findLast((line) => /^(FATAL|[\w.]*(Error|Exception|Exit|Interrupt)\b)/.test(line));
  return (named ?? said.at(-1))?.slice(0, LONGEST_LINE);
}
