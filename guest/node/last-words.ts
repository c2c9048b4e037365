const TAIL = 4 * 1_024;
const LONGEST_LINE = 500;

/** The end of what a process wrote to its standard error. */
export class LastWords {
  #text = "";

  add(text: string): void {
    this.#text = (this.#text + text).slice(-TAIL);
  }

  /** The line that names a crash's reason, else the last one. */
  get line(): string | undefined {
    const lines = this.#text.split("\n").map((line) => line.trim());
    const said = lines.filter((line) => line !== "" && !line.startsWith("at ") && !line.startsWith("Node.js v"));
    const named = said.findLast((line) => /^(FATAL|[\w.]*(Error|Exception|Exit|Interrupt)\b)/.test(line));
    return (named ?? said.at(-1))?.slice(0, LONGEST_LINE);
  }
}
