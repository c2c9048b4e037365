import type { ApiError as Refusal } from "#sdk/node/client.ts";
import type { Connection } from "../connection/connection.ts";
import { CliError, EXIT, type ExitCode, remedyOf } from "../failure.ts";

/** What control answered instead of what was asked for. */
export class ApiError extends CliError {
  readonly status: number;

  constructor(status: number, message: string, hints: readonly string[], code: string | undefined) {
    super(message, { exit: exitFor(status), hints, code });
    this.status = status;
  }
}

/** The same with what the reader can do about it. */
export function problemOf({ status, problem }: Refusal, connection: Connection): CliError {
  if (status === 401) return new ApiError(status, tokenMessage(connection), tokenHints(connection), "unauthorized");
  if (status < 400)
    return new CliError(`${connection.control.value} did not answer with JSON: is it Colibri's control address?`);
  if (problem === undefined) return new ApiError(status, strange(status, connection), [], undefined);
  const errors = (problem.errors ?? []).map(({ path, message }) => ({ path, shown: keyOf(path), message }));
  const told = errors.reduce(
    (text, { path, shown }) => text.replaceAll(`${path}:`, `${shown}:`),
    problem.detail || problem.title,
  );
  const others = errors.filter(({ message }) => !told.includes(message));
  const fields = others.map(({ shown, message }) => `${shown}: ${message}`);
  const request = status >= 500 && problem.requestId ? [`Request ${problem.requestId}; see the platform's log.`] : [];
  const hints = [...fields, ...remedyOf(problem.code), ...request];
  return new ApiError(status, told, hints, problem.code);
}

const KEYS: Readonly<Record<string, string>> = {
  memoryMiB: "memory",
  timeoutMs: "timeout",
  initTimeoutMs: "initTimeout",
  environment: "env",
  keepAliveMs: "keepAlive",
  bodyBytes: "body",
};

/** A field of a deployment's request as the key of colibri.yaml that it came from. */
function keyOf(path: string): string {
  const [, fn, field] = /^(functions\.[^.]+\.)config\.(?:policy\.)?(.+)$/.exec(path) ?? [];
  if (fn === undefined || field === undefined) return path;
  // The names of variables are the user's own.
  const fixed = field.startsWith("environment.") ? "environment" : field;
  return fn + fixed.replace(/\w+/g, (name) => KEYS[name] ?? name) + field.slice(fixed.length);
}

function exitFor(status: number): ExitCode {
  if (status === 401 || status === 403) return EXIT.notPermitted;
  return status === 404 ? EXIT.notFound : EXIT.failure;
}

function strange(status: number, { control }: Connection): string {
  return `${control.value} (from ${control.from}) answered ${status}, and not as Colibri's control API does: check the address.`;
}

function tokenMessage({ token, control, tokenMissing }: Connection): string {
  if (token === undefined) return `${control.value} wants a token: ${tokenMissing}.`;
  return `${control.value} does not accept the token from ${token.from}.`;
}

function tokenHints({ token, control, home, local, context }: Connection): string[] {
  if (context !== undefined && token?.from !== "COLIBRI_TOKEN")
    return [`\`npx colibri login --context ${context}\` asks for one and keeps it.`];
  if (token?.from === "COLIBRI_TOKEN")
    return [
      `Set COLIBRI_TOKEN to a token of the platform at ${control.value}; on its machine that is the file "token" in its home.`,
    ];
  if (token === undefined && local)
    return [
      "Run it in the folder where the platform was started, or set COLIBRI_HOME to the platform's home, or COLIBRI_TOKEN.",
    ];
  if (token === undefined)
    return [
      'Use `npx colibri login`, or set COLIBRI_TOKEN; on the platform\'s machine it is the file "token" in its home.',
    ];
  return [`The home is ${home.path}. If the platform has another one, set COLIBRI_HOME to it, or set COLIBRI_TOKEN.`];
}
