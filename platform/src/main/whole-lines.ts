/** Of a line that has not ended; a longer one is passed on in pieces. */
const LONGEST_LINE = 1 << 20;

/** Passes text on by whole lines: what several write into one log in pieces must not end up within each other's lines. */
export class WholeLines {
  readonly #pass: (lines: string) => void;
  #rest = "";

  constructor(pass: (lines: string) => void) {
    this.#pass = pass;
  }

  push(text: string): void {
    const end = text.lastIndexOf("\n") + 1;
    if (end > 0) {
      this.#pass(this.#rest + text.slice(0, end));
      this.#rest = text.slice(end);
    } else this.#rest += text;
    if (this.#rest.length > LONGEST_LINE) this.end();
  }

  /** What is left is a line too. */
  end(): void {
    if (this.#rest !== "") this.#pass(`${this.#rest}\n`);
    this.#rest = "";
  }
}
