import { writeSync } from "node:fs";
import { Writable } from "node:stream";
import { format } from "node:util";
import type { LogLevel, LogQueue, LogStream } from "./log-queue.ts";

/** The logger of a context; arguments as for console.log. */
export interface Logger {
  debug(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}

/** Level of what goes through a console method now. */
let level: LogLevel | undefined;

/** From now on console and process.stdout/stderr write log entries. */
export function captureConsole(logs: LogQueue): void {
  replaceStream("stdout", 1, "info", logs);
  replaceStream("stderr", 2, "error", logs);
  for (const method of ["debug", "info", "warn", "error"] as const) {
    const write = console[method];
    console[method] = (...values: unknown[]) => {
      level = method;
      try {
        write(...values);
      } finally {
        level = undefined;
      }
    };
  }
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    // A file without "type" in its package.json is for the platform to cope with, not for the user to read about.
    if ((warning as { code?: string }).code === "MODULE_TYPELESS_PACKAGE_JSON") return;
    // The failure that follows says it better.
    if (warning.message.startsWith("Failed to load the ES module: ")) return;
    logs.write("stderr", "warn", `${warning.name}: ${warning.message}\n`);
  });
}

export function createLogger(logs: LogQueue): Logger {
  const write =
    (stream: LogStream, level: LogLevel) =>
    (...values: unknown[]) => {
      logs.write(stream, level, `${format(...values)}\n`);
    };
  return Object.freeze({
    debug: write("stdout", "debug"),
    info: write("stdout", "info"),
    warn: write("stderr", "warn"),
    error: write("stderr", "error"),
  });
}

/** Past everything, for the last words of a process. The reader may be gone. */
export function writeRaw(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // Nobody reads it.
  }
}

function replaceStream(name: LogStream, fd: number, usual: LogLevel, logs: LogQueue): void {
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string | Uint8Array, _encoding, done) {
      const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      logs.write(name, level ?? usual, text);
      done();
    },
    // Like the real ones, they can't be closed.
    destroy(_error, done) {
      done(null);
    },
  });
  Object.defineProperty(stream, "fd", { value: fd });
  Object.defineProperty(process, name, { value: stream, configurable: true, enumerable: true });
}
