import { printable } from "../output/printable.ts";
import type { Progress } from "./progress.ts";

const KEPT_LINES = 400;
const WHOLE_APP = "";

/** What builds printed: shown as it comes, or kept until one fails. The newest lines of each function are kept. */
export class BuildOutput {
  readonly #progress: Progress;
  readonly #verbose: boolean;
  readonly #kept = new Map<string, string[]>();

  constructor(progress: Progress, verbose: boolean) {
    this.#progress = progress;
    this.#verbose = verbose;
  }

  add(name: string = WHOLE_APP, text: string): void {
    const lines = printable(text).replace(/\n$/, "").split("\n");
    if (this.#verbose) return this.#show(name, lines);
    const kept = this.#kept.get(name) ?? [];
    kept.push(...lines);
    kept.splice(0, Math.max(0, kept.length - KEPT_LINES));
    this.#kept.set(name, kept);
  }

  /** What was kept of these functions and of the app as a whole. */
  showKept(names: readonly string[]): void {
    for (const name of [WHOLE_APP, ...names]) this.#show(name, this.#kept.get(name) ?? []);
  }

  #show(name: string, lines: readonly string[]): void {
    const prefix = name === WHOLE_APP ? "" : `${printable(name)} | `;
    for (const line of lines) this.#progress.line(this.#progress.style("dim", `  ${prefix}${line}`));
  }
}
