import { PlatformError } from "#contract/errors.ts";
import type { Refused } from "./archive/refusal.ts";

export function buildFailed(message: string, cause?: unknown): PlatformError {
  return new PlatformError("build-failed", message, { cause });
}

export function dependenciesFailed(message: string): PlatformError {
  return new PlatformError("dependencies-failed", message);
}

const TOO_LARGE: readonly string[] = ["too-many-entries", "too-many-bytes", "file-too-large"];

/** `what` names the archive or folder that was refused. */
export function asPlatformError(refused: Refused, what: string): PlatformError {
  const code = TOO_LARGE.includes(refused.reason) ? "archive-too-large" : "archive-unsafe";
  return new PlatformError(code, `${what}: ${refused.message}`, { details: { reason: refused.reason } });
}
