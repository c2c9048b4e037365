/**
 * What user code prints and logs while it is tested.
 *
 * Owns: the console's methods and the writing of process.stdout and stderr, for as long as something runs. 1. Only what is written in
 * the scope of an invocation is kept; all else goes where it went before. 2. When nothing runs, everything is as it was, unless
 * somebody else has replaced it meanwhile.
 */
import { format } from "node:util";
import type { GuestLog } from "#contract/guest/link.ts";
import { createLogger } from "#guest/node/console.ts";
import { type LogLevel, LogQueue, type LogStream } from "#guest/node/log-queue.ts";
import { type Scope, scopes } from "#guest/node/scope.ts";
import { inspectThrown } from "#guest/node/thrown.ts";
import type { LogEntry } from "./types.ts";

const queue = new LogQueue();
const kept = new Map<string, LogEntry[]>();
queue.attach({
  closed: false,
  buffered: 0,
  flush() {},
  send(_type, _flags, _stream, head) {
    for (const { invocation = "", stream, level, text } of (JSON.parse(head) as GuestLog).entries)
      kept.get(invocation)?.push({ stream, level, text });
  },
});

export const logger = createLogger(queue);

/** Keeps what is written in scopes of this id, until it is let go. */
export function keep(id: string): { readonly entries: LogEntry[]; letGo(): void } {
  const entries: LogEntry[] = [];
  kept.set(id, entries);
  if (kept.size === 1) replaceAll();
  return {
    get entries() {
      queue.flush();
      return entries;
    },
    letGo() {
      queue.flush();
      kept.delete(id);
      if (kept.size === 0) for (const restore of restores.splice(0)) restore();
    },
  };
}

/** Stack and causes of a failure, as the guest writes them to the log. */
export function reportThrown(scope: Scope, error: unknown): void {
  scopes.run(scope, () => queue.write("stderr", "error", `${inspectThrown(error)}\n`, true));
}

const restores: (() => void)[] = [];
const METHODS: Readonly<Record<"debug" | "log" | "info" | "warn" | "error", readonly [LogStream, LogLevel]>> = {
  debug: ["stdout", "debug"],
  log: ["stdout", "info"],
  info: ["stdout", "info"],
  warn: ["stderr", "warn"],
  error: ["stderr", "error"],
};

function replaceAll(): void {
  const methods = Object.entries(METHODS) as [keyof typeof METHODS, readonly [LogStream, LogLevel]][];
  for (const [method, [stream, level]] of methods)
    replace(console, method, (...values) => queue.write(stream, level, `${format(...values)}\n`));
  for (const [stream, level] of [["stdout", "info"] as const, ["stderr", "error"] as const])
    replace(process[stream], "write", (chunk, ...rest) => {
      queue.write(stream, level, typeof chunk === "string" ? chunk : Buffer.from(chunk as Uint8Array).toString());
      const done = rest.at(-1);
      if (typeof done === "function") process.nextTick(done);
      return true;
    });
}

type Method = (...values: unknown[]) => unknown;

function replace(owner: object, name: string, inScope: Method): void {
  const methods = owner as Record<string, Method>;
  const own = Object.hasOwn(owner, name);
  const before = methods[name]!;
  const ours: Method = function (this: unknown, ...values) {
    const id = scopes.getStore()?.id;
    return id !== undefined && kept.has(id) ? inScope(...values) : before.apply(this, values);
  };
  methods[name] = ours;
  restores.push(() => {
    if (methods[name] !== ours) return;
    if (own) methods[name] = before;
    else delete methods[name];
  });
}
