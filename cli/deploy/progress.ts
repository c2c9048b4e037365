import { createStyle, type Style } from "../output/style.ts";
import { showBytes } from "../output/units.ts";
import type { Output, Surroundings } from "../surroundings.ts";

const BAR = 24;
const REDRAW_MS = 100;
const CLEAR_LINE = "\r\u001b[K";
const CLEAR_LINE_ABOVE = "\u001b[1A\u001b[K";

/** What goes on, on standard error: lines that stay and, on a terminal, below them a last line that changes for each part. */
export class Progress {
  readonly style: Style;
  readonly #board: Board;
  /** Of the part; empty where there are no parts. */
  readonly #name: string;
  #drawnAt = 0;

  constructor(surroundings: Pick<Surroundings, "stderr" | "env">, board: Board = new Board(surroundings), name = "") {
    this.style = createStyle(surroundings.stderr, surroundings.env);
    this.#board = board;
    this.#name = name;
  }

  line(text: string): void {
    this.#board.line(this.#named(text), this.#name);
  }

  /** Shown until the next line or change; never on what is no terminal. */
  change(text: string): void {
    this.#board.change(this.#name, this.#named(text));
  }

  /** A bar, redrawn ten times a second at most. */
  bytes(name: string, done: number, total: number): void {
    const now = performance.now();
    if (done < total && now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    const filled = total === 0 ? BAR : Math.round((BAR * done) / total);
    const bar = `${"█".repeat(filled)}${"░".repeat(BAR - filled)}`;
    this.change(`${name}: ${bar} ${showBytes(done)} of ${showBytes(total)}`);
  }

  clear(): void {
    this.#board.change(this.#name, undefined);
  }

  #named(text: string): string {
    return this.#name === "" ? text : text.replace(/^/gm, `${this.style("bold", this.#name)} `);
  }
}

/** The lines of several parts that change, in one place of the terminal. */
export class Board {
  readonly #output: Output;
  readonly #live: boolean;
  readonly #rows = new Map<string, string>();
  #drawn = 0;

  constructor({ stderr, env }: Pick<Surroundings, "stderr" | "env">) {
    this.#output = stderr;
    this.#live = stderr.isTTY === true && env.TERM !== "dumb";
  }

  /** A line that stays; what its part was doing is over. */
  line(text: string, part: string): void {
    this.#rows.delete(part);
    this.#output.write(`${this.#clearing()}${text}\n`);
    this.#draw();
  }

  change(part: string, text: string | undefined): void {
    if (!this.#live || (text === undefined && !this.#rows.has(part))) return;
    if (text === undefined) this.#rows.delete(part);
    else this.#rows.set(part, text.slice(0, (this.#output.columns || 80) - 1));
    this.#output.write(this.#clearing());
    this.#draw();
  }

  #clearing(): string {
    const drawn = this.#drawn;
    this.#drawn = 0;
    return drawn === 0 ? "" : CLEAR_LINE + CLEAR_LINE_ABOVE.repeat(drawn - 1);
  }

  #draw(): void {
    if (this.#rows.size === 0) return;
    this.#output.write([...this.#rows.values()].join("\n"));
    this.#drawn = this.#rows.size;
  }
}
