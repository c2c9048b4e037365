import { ERRORS, isErrorCode } from "#contract/errors.ts";

/** What the exit code of every command means; docs/cli.md says the same. */
export const EXIT = Object.freeze({
  ok: 0,
  failure: 1,
  usage: 2,
  unreachable: 3,
  notPermitted: 4,
  notFound: 5,
  interrupted: 130,
});
export type ExitCode = number;

export interface CliErrorOptions {
  readonly exit?: ExitCode;
  /** What the reader can do now, a line each. */
  readonly hints?: readonly string[];
  /** From the catalogue of errors, where the platform said it. */
  readonly code?: string | undefined;
  readonly cause?: unknown;
}

/** Ends the command: the message says what was wrong, the hints what to do. */
export class CliError extends Error {
  readonly exit: ExitCode;
  readonly hints: readonly string[];
  readonly code: string | undefined;

  constructor(message: string, options: CliErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "CliError";
    this.exit = options.exit ?? EXIT.failure;
    this.hints = options.hints ?? [];
    this.code = options.code;
  }
}

export function usageError(message: string, ...hints: string[]): CliError {
  return new CliError(message, { exit: EXIT.usage, hints });
}

/** What the catalogue advises for `code`, as hints. The message of a conflict says itself what to do; the advice is for API clients. */
export function remedyOf(code: string | undefined): string[] {
  return isErrorCode(code) && code !== "conflict" ? [ERRORS[code].remedy] : [];
}
