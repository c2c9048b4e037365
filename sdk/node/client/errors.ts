import type { ErrorCode } from "./codes.ts";
import type { Problem } from "./resources.ts";

/** What control answered instead of what was asked for. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  /** Undefined when the answer was not one of Colibri's, or had no body to say it (HEAD). */
  readonly code: ErrorCode | undefined;
  readonly problem: Problem | undefined;

  constructor(status: number, problem: Problem | undefined, where: string) {
    super(
      problem === undefined ? `${where} answered ${status}, and not as Colibri does` : problem.detail || problem.title,
    );
    this.status = status;
    // Of a newer platform it may be one that is not in our list.
    this.code = problem?.code as ErrorCode | undefined;
    this.problem = problem;
  }
}

/** Nobody answered, or the connection was lost. The cause says more. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";

  constructor(where: string, cause: unknown) {
    super(`${where} can't be reached: ${(cause as Error | undefined)?.message || cause}`, { cause });
  }
}
