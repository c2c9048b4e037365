import type { GoneCause } from "#contract/agent/link.ts";
import type { SandboxExit } from "#ports/sandbox/index.ts";
import type { ProcessExit } from "./spawner-client.ts";

export interface GuestEnd {
  readonly exit: ProcessExit;
  /** Why we killed it, if we did. */
  readonly killedFor: GoneCause | undefined;
  /** V8 said so. */
  readonly heapFull: boolean;
  readonly limitMiB: number;
}

/** How a guest ended, for its owner and its user. */
export function explainEnd({ exit: { code, signal }, killedFor, heapFull, limitMiB }: GuestEnd): SandboxExit {
  const limit = `out of memory at ${limitMiB} MiB`;
  if (killedFor === "out-of-memory") return { cause: "out-of-memory", detail: limit };
  if (killedFor !== undefined) return { cause: killedFor, detail: "killed by SIGKILL" };
  // V8 ends a process whose heap is full by aborting it; where it was told how large that may be, the limit is the same.
  const aborted = signal === "SIGABRT" || signal === "SIGTRAP" || signal === "SIGILL" || code === 134;
  if (aborted && heapFull) return { cause: "out-of-memory", detail: limit };
  if (signal === "SIGKILL") return { cause: "killed", detail: "was killed by SIGKILL", fromOutside: true };
  if (signal !== null) return { cause: "killed", detail: `was killed by ${signal}` };
  if (code !== null) return { cause: "exited", detail: `exited with code ${code}` };
  const detail = "ended; how is not known, because the spawner that started it was gone";
  return { cause: "exited", detail, fromOutside: true };
}
