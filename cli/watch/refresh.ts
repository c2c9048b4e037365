import { EXIT, type ExitCode } from "../failure.ts";
import { type FormatOptions, type Printed, print } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import { createStyle } from "../output/style.ts";
import { mayComeBack } from "../reconnect.ts";
import type { Output, Surroundings } from "../surroundings.ts";
import { sleep } from "./sleep.ts";

const EVERY_MS = 2_000;
const CLEAR = "\u001b[2J";
const HOME = "\u001b[H";
const CLEAR_TO_LINE_END = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/** With `--watch`: again and again until Ctrl-C, through times in which the platform is away. */
export interface ShowOptions extends FormatOptions {
  readonly watch?: boolean;
}

/**
 * Prints what `read` finds, once or for as long as it is watched: on a terminal always in the same place, elsewhere again when it
 * has changed.
 */
export async function show(
  surroundings: Surroundings,
  options: ShowOptions,
  read: (signal: AbortSignal | undefined) => Promise<Printed>,
): Promise<ExitCode> {
  if (!options.watch) {
    surroundings.stdout.write(await print(await read(undefined), options));
    return EXIT.ok;
  }
  const signal = surroundings.interruption();
  let printed = await read(signal);
  const screen = new Screen(surroundings, options);
  await screen.show(printed);
  while (await sleep(EVERY_MS, signal)) {
    try {
      printed = await read(signal);
      await screen.show(printed);
    } catch (error) {
      if (signal.aborted) break;
      if (!mayComeBack(error)) throw error;
      await screen.away(printed, error as Error);
    }
  }
  return EXIT.ok;
}

class Screen {
  readonly #surroundings: Surroundings;
  readonly #options: FormatOptions;
  #last: string | undefined;

  constructor(surroundings: Surroundings, options: FormatOptions) {
    this.#surroundings = surroundings;
    this.#options = options;
  }

  async show(printed: Printed): Promise<void> {
    const { stdout } = this.#surroundings;
    const text = await print(printed, this.#options);
    if (stdout.isTTY === true) return this.#draw(stdout, text);
    const data = JSON.stringify(printed.data);
    if (data !== this.#last) stdout.write(this.#last === undefined ? text : `\n${text}`);
    this.#last = data;
  }

  async away(printed: Printed, { message }: Error): Promise<void> {
    const { stdout, env } = this.#surroundings;
    if (stdout.isTTY !== true) return;
    const note = createStyle(stdout, env)("yellow", `${printable(message)}\nTrying again; this is what it was before.`);
    this.#draw(stdout, `${note}\n\n${await print(printed, this.#options)}`);
  }

  /** Line by line over what was there, so that it does not flicker. */
  #draw(stdout: Output & { readonly rows?: number }, text: string): void {
    const lines = text.trimEnd().split("\n");
    const shown = lines.slice(0, Math.max(1, (stdout.rows ?? 1_000) - 1));
    const start = this.#last === undefined ? CLEAR + HOME : HOME;
    this.#last = text;
    stdout.write(`${start}${shown.map((line) => `${line}${CLEAR_TO_LINE_END}\n`).join("")}${CLEAR_BELOW}`);
  }
}
