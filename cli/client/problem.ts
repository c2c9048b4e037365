import type { ApiError as Refusal } from "#sdk/node/client.ts";
import type { Connection } from "../connection/connection.ts";
import { readPlatform } from "../connection/home.ts";
import { CliError, EXIT, type ExitCode, remedyOf } from "../failure.ts";

/** What control answered instead of what was asked for. */
export class ApiError extends CliError {
  readonly status: number;

  constructor(status: number, message: string, hints: readonly string[], code: string | undefined) {
    super(message, { exit: exitFor(status), hints, code });
    this.status = status;
  }
}

/** The address is not control's, or that is of another version. */
export class StrangeAnswer extends CliError {
  constructor({ control }: Connection, why: string, hints?: readonly string[]) {
    super(`What answers at ${control.value} (from ${control.from}) is no control of Colibri: ${why}.`, {
      hints: hints ?? [
        "Check the address; `npm start` prints control's. If it is right, the platform may be of another version: `npx colibri version` tells.",
      ],
    });
  }
}

/** The same with what the reader can do about it. */
export function problemOf({ status, problem }: Refusal, connection: Connection): CliError {
  if (problem !== undefined && isGateways(problem)) return functionsAnswer(connection);
  if (status === 401) return new ApiError(status, tokenMessage(connection), tokenHints(connection), "unauthorized");
  if (problem === undefined) return withoutProblem(status, connection);
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
  freezeAfterMs: "freezeAfter",
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

const PROXY_REFUSALS = [403, 407, 408, 413, 429];

/** What refuses in this way or fails may be a proxy before a control; the rest is no control. */
function withoutProblem(status: number, connection: Connection): CliError {
  const { control } = connection;
  if (status < 500 && !PROXY_REFUSALS.includes(status))
    return new StrangeAnswer(connection, `it answers ${status}, and not as the control API does`);
  const message = `${control.value} (from ${control.from}) answered ${status}, and not as Colibri's control API does.`;
  const hint = "Check the address and what stands before it, such as a proxy, or try again in a moment.";
  return new ApiError(status, message, [hint], undefined);
}

/** A gateway gives every request the id of an invocation; control has none to give. */
function isGateways(problem: object): boolean {
  return "invocation" in problem || ("code" in problem && problem.code === "function-not-found");
}

function functionsAnswer(connection: Connection): StrangeAnswer {
  const { control, home } = connection;
  const running = readPlatform(home);
  const isHomes = running?.functionsUrl === control.value && running.controlUrl !== undefined;
  const { protocol, hostname } = new URL(control.value);
  const hint = isHomes
    ? `Control is at ${running.controlUrl}.`
    : `Control has an address of its own, which \`npm start\` prints: by default port 8081, here ${protocol}//${hostname}:8081.`;
  return new StrangeAnswer(connection, "it is the address of the functions", [hint]);
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
