import type { AppConfig } from "#contract/config/app-config.ts";
import type { DevEvent } from "#platform/main/dev/event.ts";
import type { Dev } from "#platform/main/dev.ts";
import type { Context } from "../context.ts";
import { Progress } from "../deploy/progress.ts";

export interface LocalOptions {
  readonly folder: string;
  readonly config: AppConfig;
  readonly verbose: boolean;
}

/** For a log that comes another way than its answer, and may be a moment later. */
const LOG_MS = 100;

/** The folder's functions on guests of this machine, for as long as the cases run. Owns: what the functions log meanwhile. */
export class LocalFunctions {
  readonly #context: Context;
  readonly #options: LocalOptions;
  readonly #progress: Progress;
  readonly #logs = new Map<string, string[]>();
  #dev: Dev | undefined;

  constructor(context: Context, options: LocalOptions) {
    this.#context = context;
    this.#options = options;
    this.#progress = new Progress(context);
  }

  /** Resolves with the address of the functions. */
  async open(signal: AbortSignal): Promise<string> {
    const { createDev } = await import("#platform/main/dev.ts");
    const { folder, config, verbose } = this.#options;
    this.#dev = createDev(
      {
        ...{ folder, config, port: 0, watch: false },
        ...{ environment: this.#context.env, logLevel: verbose ? "debug" : "error" },
        writeLog: (line) => void this.#context.stderr.write(line),
      },
      (event) => this.#hear(event),
    );
    return (await this.#dev.open(signal)).url;
  }

  async close(): Promise<void> {
    await this.#dev?.close();
  }

  async logOf(invocation: string | undefined): Promise<readonly string[]> {
    if (invocation === undefined) return [];
    await new Promise((resolve) => setTimeout(resolve, LOG_MS));
    return this.#logs.get(invocation) ?? [];
  }

  #hear(event: DevEvent): void {
    if (event.kind === "log" && event.entry.invocation !== undefined) {
      const lines = this.#logs.get(event.entry.invocation) ?? [];
      lines.push(event.entry.text);
      this.#logs.set(event.entry.invocation, lines);
    } else if (event.kind === "note" || event.kind === "warning")
      this.#progress.line(event.function === undefined ? event.text : `${event.function}: ${event.text}`);
  }
}
