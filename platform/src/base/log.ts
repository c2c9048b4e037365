import type { Clock } from "./clock.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

/** The platform's own log: one JSON object a line. Fields use the glossary's words; secrets never enter. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log with these fields on every line. */
  with(fields: LogFields): Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly fields?: LogFields;
}

export function createLog(deps: { clock: Clock; write: (line: string) => void }, options: LogOptions): Log {
  const threshold = LOG_LEVELS.indexOf(options.level);
  const emit = (level: LogLevel, message: string, fields: LogFields | undefined) => {
    if (LOG_LEVELS.indexOf(level) < threshold) return;
    const entry = { at: new Date(deps.clock.now()).toISOString(), level, ...options.fields, message, ...fields };
    deps.write(`${JSON.stringify(entry, plainErrors)}\n`);
  };
  return {
    debug: (message, fields) => emit("debug", message, fields),
    info: (message, fields) => emit("info", message, fields),
    warn: (message, fields) => emit("warn", message, fields),
    error: (message, fields) => emit("error", message, fields),
    with: (fields) => createLog(deps, { level: options.level, fields: { ...options.fields, ...fields } }),
  };
}

/** A log that goes nowhere, for tests. */
export function createSilentLog(): Log {
  const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, with: () => silent };
  return silent;
}

function plainErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const cause = value.cause === undefined ? {} : { cause: value.cause };
  return { name: value.name, message: value.message, stack: value.stack, ...cause };
}
