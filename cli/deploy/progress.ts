import type { Context, Output } from "../context.ts";
import { createStyle, type Style } from "../output/style.ts";
import { showBytes } from "../output/units.ts";

const BAR = 24;
const REDRAW_MS = 100;
const CLEAR_LINE = "\r\u001b[K";

/** What goes on, on standard error: lines that stay and, on a terminal, one last line that changes. */
export class Progress {
  readonly style: Style;
  readonly #output: Output;
  readonly #live: boolean;
  #drawnAt = 0;
  #shown = false;

  constructor({ stderr, env }: Pick<Context, "stderr" | "env">) {
    this.#output = stderr;
    this.#live = stderr.isTTY === true && env.TERM !== "dumb";
    this.style = createStyle(stderr, env);
  }

  line(text: string): void {
    this.clear();
    this.#output.write(`${text}\n`);
  }

  /** Shown until the next line or change; never on what is no terminal. */
  change(text: string): void {
    if (!this.#live) return;
    const width = (this.#output.columns || 80) - 1;
    this.#output.write(CLEAR_LINE + text.slice(0, width));
    this.#shown = true;
  }

  /** A bar, redrawn ten times a second at most. */
  bytes(name: string, done: number, total: number): void {
    const now = performance.now();
    if (!this.#live || (done < total && now - this.#drawnAt < REDRAW_MS)) return;
    this.#drawnAt = now;
    const filled = total === 0 ? BAR : Math.round((BAR * done) / total);
    const bar = `${"█".repeat(filled)}${"░".repeat(BAR - filled)}`;
    this.change(`${name}: ${bar} ${showBytes(done)} of ${showBytes(total)}`);
  }

  clear(): void {
    if (this.#shown) this.#output.write(CLEAR_LINE);
    this.#shown = false;
  }
}
