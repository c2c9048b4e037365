/** Runs functions in the process of a test, as a sandbox would. */
import { ERRORS, type ErrorCode } from "#contract/errors.ts";
import { PROBLEM_MEDIA_TYPE, problemDetails } from "#contract/problem.ts";
import { Context as GuestContext } from "#guest/node/context.ts";
import { findFunction, type LoadedFunction } from "#guest/node/function.ts";
import { runInit } from "#guest/node/init.ts";
import { type Scope, scopes } from "#guest/node/scope.ts";
import { describeThrown } from "#guest/node/thrown.ts";
import { type Exchanged, exchange } from "./testing/exchange.ts";
import { factsOf, makeId } from "./testing/facts.ts";
import { toSent } from "./testing/input.ts";
import { keep, logger, reportThrown } from "./testing/output.ts";
import type {
  ContextOptions,
  InvokeOptions,
  LogEntry,
  Target,
  TestAnswer,
  TestContext,
  TestError,
} from "./testing/types.ts";

export type * from "./testing/types.ts";

const INIT_TIMEOUT_MS = 10_000;

/**
 * Invokes a function as a caller over HTTP would: its input is decoded, its answer encoded, its failures told as a deployed one's are. A
 * module's `init` runs before its first invocation, once unless it fails. @throws when the target is no function, as deploying it would
 */
export async function invoke(target: Target, input?: unknown, options: InvokeOptions = {}): Promise<TestAnswer> {
  const loaded = loadedOf(target);
  const { contentType, request, body } = toSent(input, options);
  const given = factsOf({ ...options, request }, contentType);
  const output = keep(given.id);
  try {
    const failed = await initialise(target, loaded, given.id, options);
    const exchanged =
      failed ?? (await exchange(loaded, given, body, { signal: options.signal, onPiece: options.onPiece }));
    return answerOf(given.id, exchanged, output.entries);
  } finally {
    output.letGo();
  }
}

/** A context for calling a handler directly, past decoding and encoding. */
export function createTestContext(options: ContextOptions = {}): TestContext {
  const head = factsOf(options, undefined);
  const deadline = AbortSignal.timeout(head.budgetMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline]);
  const { entries, log } = collectLogs();
  const context = new GuestContext({ head, arrivedMs: performance.now(), signal }, log);
  return Object.defineProperty(context, "logs", { value: entries }) as GuestContext & { readonly logs: LogEntry[] };
}

/** A logger that writes in a scope of its own, wherever it is called. */
function collectLogs() {
  const id = makeId();
  const scope: Scope = { id, fail: () => false };
  const entries: LogEntry[] = [];
  const write =
    (level: LogEntry["level"]) =>
    (...values: unknown[]) => {
      const output = keep(id);
      scopes.run(scope, () => logger[level](...values));
      entries.push(...output.entries);
      output.letGo();
    };
  const log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  return { entries, log };
}

function loadedOf(target: Target): LoadedFunction {
  const isModule =
    typeof target === "object" && target !== null && typeof (target as { fetch?: unknown }).fetch !== "function";
  return findFunction("the module", undefined, isModule ? (target as Record<string, unknown>) : { default: target });
}

/** Functions whose `init` has succeeded, or is under way. */
const initialised = new WeakMap<object, Promise<void>>();

/** Undefined when all is well. */
async function initialise(
  target: Target,
  { init }: LoadedFunction,
  id: string,
  options: InvokeOptions,
): Promise<Exchanged | undefined> {
  if (init === undefined) return undefined;
  const scope: Scope = { id, fail: () => false };
  let running = initialised.get(target);
  if (running === undefined) {
    const timeoutMs = options.initTimeoutMs ?? INIT_TIMEOUT_MS;
    running = runInit(init, { revision: factsOf(options, undefined), timeoutMs, log: logger, scopeOf: () => scope });
    initialised.set(target, running);
  }
  try {
    await running;
    return undefined;
  } catch (error) {
    initialised.delete(target);
    reportThrown(scope, error);
    return { head: undefined, pieces: [], error: { code: "init-failed", ...describeThrown(error) } };
  }
}

function answerOf(invocation: string, { head, pieces, error }: Exchanged, logs: LogEntry[]): TestAnswer {
  if (head === undefined) return problemAnswer(invocation, error!, logs);
  const headers = new Headers();
  for (let index = 0; index + 1 < head.headers.length; index += 2)
    headers.append(head.headers[index]!, head.headers[index + 1]!);
  return makeAnswer({ invocation, status: head.status, headers, pieces, error, logs });
}

/** A failure as the gateway answers it. */
function problemAnswer(invocation: string, error: TestError & { code: ErrorCode }, logs: LogEntry[]): TestAnswer {
  const { code, name } = error;
  const message = name === "" || name === "Error" ? error.message : `${name}: ${error.message}`;
  const headers = new Headers({
    "content-type": PROBLEM_MEDIA_TYPE,
    "colibri-error-code": code,
    "colibri-error-message": message.replace(/[^\x20-\x7e]+/g, " ").slice(0, 512),
  });
  const body = Buffer.from(JSON.stringify({ ...problemDetails(code, message), invocation }));
  return makeAnswer({ invocation, status: ERRORS[code].status, headers, pieces: [body], error, logs });
}

function makeAnswer(parts: Omit<TestAnswer, "body" | "text" | "json">): TestAnswer {
  const body = Buffer.concat(parts.pieces);
  const text = () => body.toString("utf8");
  return { ...parts, body, text, json: () => JSON.parse(text()) };
}
