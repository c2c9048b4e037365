import { type Clock, sleep } from "#base/clock.ts";
import { isDiskFull } from "#base/storage-trouble.ts";
import { PlatformError } from "#contract/errors.ts";
import type { Sandbox, SandboxSpec } from "#ports/sandbox/index.ts";
import { isListening } from "./listening.ts";

const LISTEN_POLL_MS = 2;

/** A guest that says something before it listens. */
interface Starting extends Sandbox {
  readonly lastWords: string;
}

/** @throws PlatformError `start-failed` when it ends before it listens, or takes longer; it is gone then. */
export async function untilListening(clock: Clock, spec: SandboxSpec, sandbox: Starting, startMs: number) {
  const untilMs = clock.monotonic() + startMs;
  let exit: string | undefined;
  void sandbox.gone.then(({ detail }) => {
    exit = sandbox.lastWords === "" ? detail : `${detail}: ${sandbox.lastWords}`;
  });
  while (exit === undefined && !(await isListening(sandbox.address))) {
    if (clock.monotonic() >= untilMs) {
      await sandbox.kill("start-failed");
      await sandbox.gone;
      throw startFailed(spec, `does not listen after ${startMs} ms`);
    }
    await sleep(clock, LISTEN_POLL_MS);
  }
  if (exit !== undefined) throw startFailed(spec, exit);
}

export function startFailed(spec: SandboxSpec, why: string, cause?: unknown): PlatformError {
  // A full disk is no passing trouble: whoever waits is told at once.
  const code = isDiskFull(cause) ? "no-capacity" : "start-failed";
  return new PlatformError(code, `the ${spec.runtime.name} guest could not be started: ${why}`, { cause });
}

/** The command with the sandbox's memory in its arguments. */
export function commandFor({ runtime, memoryMiB }: SandboxSpec): string[] {
  return runtime.command.map((part) => part.replaceAll("{memoryMiB}", String(memoryMiB)));
}
