import { createContext, Script } from "node:vm";

export type Match = "matches" | "differs" | "too slow";

/** An expression can need longer than anybody waits, and nothing else runs meanwhile: not even what ends the process. */
export const PATTERN_MS = 1_000;

const TEST = new Script("pattern.test(text)");

/** Whether `pattern` is in `text`; cut off after `limitMs`. */
export function match(pattern: RegExp, text: string, limitMs = PATTERN_MS): Match {
  try {
    return TEST.runInContext(createContext({ pattern, text }), { timeout: limitMs }) ? "matches" : "differs";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return "too slow";
    throw error;
  }
}
