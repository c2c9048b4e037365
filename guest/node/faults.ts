import { writeRaw } from "./console.ts";
import type { Guest } from "./guest.ts";
import type { LogQueue } from "./log-queue.ts";
import { scopes } from "./scope.ts";
import { trimStack } from "./stack.ts";
import { inspectThrown } from "./thrown.ts";

/** What is left to invocations when the host asks for the end. */
const SIGTERM_GRACE_MS = 30_000;

/** What nobody caught belongs to the scope it was thrown in; exits of user code leave a trace. */
export function watchFaults(deps: { guest: Guest; logs: LogQueue }): void {
  const { guest, logs } = deps;
  process.on("uncaughtException", (error) => {
    report(logs, "uncaught exception", error);
    // Whatever was half-done stays so: this process runs nothing new.
    guest.leave(1);
  });
  process.on("unhandledRejection", (error) => report(logs, "unhandled rejection", error));
  process.on("SIGTERM", () => guest.drain(SIGTERM_GRACE_MS));
  const exit = process.exit;
  process.exit = ((code?: number | string | null) => {
    const stack = trimStack(new Error().stack ?? "")
      .split("\n")
      .slice(1);
    writeRaw(`${[`process.exit(${code ?? process.exitCode ?? 0}) called by the function`, ...stack].join("\n")}\n`);
    logs.flush();
    return exit(code);
  }) as typeof process.exit;
}

function report(logs: LogQueue, what: string, error: unknown): void {
  const scope = scopes.getStore();
  if (scope?.fail(error)) return;
  const text = `${what}: ${inspectThrown(error)}\n`;
  // Of no scope: it may be the log that failed.
  if (scope === undefined) writeRaw(text);
  logs.write("stderr", "error", text, true);
}
