import type { AppConfig } from "#contract/config/app-config.ts";
import type { DevEvent } from "#platform/dev/index.ts";
import type { Dev } from "#platform/main/dev.ts";
import { Progress } from "../deploy/progress.ts";
import type { Surroundings } from "../surroundings.ts";
import { sleep } from "../watch/sleep.ts";

/** From the answer's end until dev tells of it, which is the same turn but for trouble. */
const LONGEST_MS = 1_000;

export interface LocalOptions {
  readonly folder: string;
  readonly config: AppConfig;
  readonly verbose: boolean;
}

/** The folder's functions on guests of this machine, for as long as the cases run. Owns: what they log until it is forgotten. */
export class LocalFunctions {
  readonly #surroundings: Surroundings;
  readonly #options: LocalOptions;
  readonly #progress: Progress;
  /** By invocation. */
  readonly #logs = new Map<string, string[]>();
  readonly #answered = new Map<string, PromiseWithResolvers<void>>();
  #dev: Dev | undefined;

  constructor(surroundings: Surroundings, options: LocalOptions) {
    this.#surroundings = surroundings;
    this.#options = options;
    this.#progress = new Progress(surroundings);
  }

  /** Resolves with the address of the functions. */
  async open(signal: AbortSignal): Promise<string> {
    const { createDev } = await import("#platform/main/dev.ts");
    const { folder, config, verbose } = this.#options;
    this.#dev = createDev(
      {
        ...{ folder, config, port: 0, watch: false, allowedHosts: "any" },
        ...{ environment: this.#surroundings.env, logLevel: verbose ? "debug" : "error" },
        writeLog: (line) => void this.#surroundings.stderr.write(line),
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
    // A link may have broken: then it is what came so far.
    const given = new AbortController();
    await Promise.race([this.#answerOf(invocation).promise, sleep(LONGEST_MS, given.signal)]);
    given.abort();
    // A guest sends what was logged before the answer, on another link: both are here, and in this turn both are read.
    await new Promise((resolve) => setImmediate(resolve));
    return this.#logs.get(invocation) ?? [];
  }

  /** All that was logged so far: the case is over. */
  forget(): void {
    this.#logs.clear();
    this.#answered.clear();
  }

  #answerOf(invocation: string): PromiseWithResolvers<void> {
    const known = this.#answered.get(invocation) ?? Promise.withResolvers<void>();
    this.#answered.set(invocation, known);
    return known;
  }

  #hear(event: DevEvent): void {
    if (event.kind === "log" && event.entry.invocation !== undefined) {
      const lines = this.#logs.get(event.entry.invocation) ?? [];
      lines.push(event.entry.text);
      this.#logs.set(event.entry.invocation, lines);
    } else if (event.kind === "request") {
      if (event.invocation !== undefined) this.#answerOf(event.invocation).resolve();
    } else if (event.kind === "note" || event.kind === "warning")
      this.#progress.line(event.function === undefined ? event.text : `${event.function}: ${event.text}`);
  }
}
