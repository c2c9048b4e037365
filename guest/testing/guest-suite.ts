import { describe, type TestContext } from "node:test";
import type { Execution } from "#contract/guest/link.ts";
import type { DrivenControl, LoadOptions } from "./driven-control.ts";
import type { DrivenData } from "./driven-data.ts";
import { type DrivenFunction, type GuestCommand, GuestDriver } from "./guest-driver.ts";
import { answerTests } from "./suite-answers.ts";
import { hostileTests } from "./suite-hostile.ts";
import { inputTests } from "./suite-inputs.ts";
import { lifecycleTests } from "./suite-lifecycle.ts";
import { loadTests } from "./suite-loads.ts";
import { logTests } from "./suite-logs.ts";
import { processTests } from "./suite-processes.ts";
import { exitTests, runTests } from "./suite-runs.ts";
import { streamTests } from "./suite-streams.ts";

/**
 * Functions in the guest's language that the suite drives. Each says what its handler does; JSON inputs are objects with the
 * fields named. `null` where the language has no such thing: those tests are left out.
 */
export interface GuestFunctions {
  /** Answers its input as it is. */
  readonly echo: DrivenFunction;
  /** Answers `{ kind, value }`: `nothing` and null, `text` and it, `bytes` and the list of them, or `json` and the value. */
  readonly kind: DrivenFunction;
  /**
   * Answers what `form` names: `nothing`; `text` "grüße"; `empty` text; `bytes` 00 01 ff; `object` {"a":1}; `array` [1,2];
   * `number` 1.5; `true`; `false`; `texts` a stream of "a", "b", "ü"; `pieces` a stream of the bytes 00, 01, ff; `none` a stream
   * that ends at once; `large` a text of 1,048,576 "x".
   */
  readonly answer: DrivenFunction;
  /**
   * By `form`: `error` throws a TypeError "it broke"; `text` throws the string "plain" (if the language can); `circular` answers
   * an object that holds itself; `unserialisable` answers what JSON has no form for (a BigInt, a set); `first` a stream that throws before its first
   * piece; `late` one that gives "a", then throws a TypeError "it broke".
   */
  readonly error: DrivenFunction;
  /** As `error`, with handlers declared asynchronous, that first wait a moment. */
  readonly asyncError: DrivenFunction;
  /**
   * The language's HTTP style (fetch, ASGI). By path: `/made` status 201, header `x-made: yes`, two Set-Cookie headers `a=1` and
   * `b=2`, text "made"; `/empty` 204 without a body; `/unchanged` 304; `/echo` streams the request's body back as it comes;
   * `/unread` answers "unread" without looking at the body; `/throw` throws a TypeError "it broke"; `/about` JSON
   * `{ method, path, query, header, body }` with the query as text without "?" and the header `x-header`.
   */
  readonly http: DrivenFunction;
  /** Answers JSON `{ invocation, tenant, app, function, revision, deadlineMs, remainingMs, trace, request }`; deadlineMs since 1970. */
  readonly context: DrivenFunction;
  /** Prints `out <marker>`, waits `ms`, writes `err <marker>` to standard error, logs `<level> <marker>` at each level. Answers "logged". */
  readonly log: DrivenFunction;
  /** Prints `lines` lines of 1,000 characters. Answers "flooded". */
  readonly flood: DrivenFunction;
  /** Prints `begun <marker>`, waits for `ms` or the abort signal, whichever is first; then prints `aborted <marker>` or `waited <marker>` and answers that. */
  readonly wait: DrivenFunction;
  /** `init` counts; answers `{ inits, loads, pid }`: how often `init` and the module's top level ran. */
  readonly count: DrivenFunction;
  /** `init` throws a TypeError "not yet" the first time; the handler as in `count`. */
  readonly initFails: DrivenFunction;
  /** `init` never ends. */
  readonly initHangs: DrivenFunction;
  /** Answers a JSON object of all environment variables. */
  readonly environment: DrivenFunction;
  /** Exits the process with `code` after `ms` (0: at once, within the handler). */
  readonly exit: DrivenFunction;
  /** With `spin`, prints "spinning" and then holds its process for ever, some 20 ms later; else answers "fine". */
  readonly spin: DrivenFunction;
  /** `init` succeeds the first time in a sandbox and then throws "once is enough"; answers "started". */
  readonly startsOnce: DrivenFunction;
  /** Exits the process with 5 while it is loaded. */
  readonly exitsAtLoad: DrivenFunction;
  /** A syntax error in line 3 of the handler's file. */
  readonly syntaxError: DrivenFunction & { readonly place: RegExp };
  /** Throws a TypeError "broken at load" while it is loaded. */
  readonly throwsAtLoad: DrivenFunction;
  /** A file without the export the handler names, which has others. */
  readonly missingExport: DrivenFunction & { readonly expected: RegExp };
}

export interface GuestSuite {
  readonly command: GuestCommand;
  readonly functions: GuestFunctions;
  readonly execution: Execution;
  /** Slots where a test does not say how many: as many invocations may run at once. */
  readonly slots: number;
  /** A way of execution that the guest has not. */
  readonly lacks: Execution | undefined;
  /** What the guest says it is in HELLO. */
  readonly runtime: string;
  /** Can't throw anything but exceptions. */
  readonly throwsOnlyExceptions: boolean;
  /** A started, initialised guest with one data stream, removed after the test. */
  ready(test: TestContext, given: DrivenFunction, options?: LoadOptions): Promise<Ready>;
  /** A started guest that is told nothing yet. */
  start(test: TestContext): Promise<GuestDriver>;
}

export interface Ready {
  readonly guest: GuestDriver;
  readonly control: DrivenControl;
  readonly data: DrivenData;
}

export interface GuestSuiteOptions {
  readonly runtime: string;
  readonly execution?: Execution;
  readonly lacks?: Execution;
  readonly throwsOnlyExceptions?: boolean;
}

/** The behaviour every guest must show, whatever its language. */
export function guestSuite(
  name: string,
  command: GuestCommand,
  functions: GuestFunctions,
  options: GuestSuiteOptions,
): void {
  const execution = options.execution ?? "loop";
  // Each is a process: a dozen of them for every test would take minutes.
  const slots = execution === "process" ? 3 : 20;
  const start = async (test: TestContext) => {
    const guest = await GuestDriver.start(command);
    test.after(() => guest.stop());
    return guest;
  };
  const suite: GuestSuite = {
    command,
    functions,
    execution,
    slots,
    lacks: options.lacks,
    runtime: options.runtime,
    throwsOnlyExceptions: options.throwsOnlyExceptions ?? false,
    start,
    async ready(test, given, load = {}) {
      const guest = await start(test);
      return { guest, ...(await guest.ready(given, { execution, concurrency: slots, ...load })) };
    },
  };
  describe(name, { concurrency: 2 }, () => {
    lifecycleTests(suite);
    loadTests(suite);
    inputTests(suite);
    answerTests(suite);
    runTests(suite);
    streamTests(suite);
    logTests(suite);
    hostileTests(suite);
    if (execution === "process") processTests(suite);
    else exitTests(suite);
  });
}
