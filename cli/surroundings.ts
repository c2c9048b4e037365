import { fstatSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { CliError, EXIT } from "./failure.ts";

export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };
export type Input = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };

/** What a command knows of the process it runs in. */
export interface Surroundings {
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The context that `--context` names. */
  readonly chosen?: string | undefined;
  /** Whether standard input is a file or a pipe, rather than a terminal or nothing. */
  hasPipedInput(): boolean;
  /** Aborts on the first Ctrl-C or SIGTERM. Whoever asks for it must then end: the process no longer does so by itself. */
  interruption(): AbortSignal;
}

export function createSurroundings(process: NodeJS.Process): Surroundings {
  let interruption: AbortSignal | undefined;
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    hasPipedInput,
    interruption: () => {
      interruption ??= abortOnSignals(process);
      return interruption;
    },
  };
}

function hasPipedInput(): boolean {
  try {
    const input = fstatSync(0);
    return input.isFile() || input.isFIFO() || input.isSocket();
  } catch {
    return false; // closed
  }
}

const SIGNALS = { SIGINT: EXIT.interrupted, SIGTERM: 143, SIGHUP: 129 } as const;

function abortOnSignals(process: NodeJS.Process): AbortSignal {
  const controller = new AbortController();
  for (const [signal, exit] of Object.entries(SIGNALS)) {
    // A launcher and the terminal may both send it: the first counts, and the others must not kill in the midst of cleaning up.
    process.on(signal, () => controller.abort(new CliError("Interrupted.", { exit })));
  }
  return controller.signal;
}
