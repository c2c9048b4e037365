/**
 * The keys of a terminal, one after the other. Owns: the terminal's raw mode between `open` and `close`. Keys that come before
 * they are asked for wait: whoever types ahead loses nothing.
 */
import { emitKeypressEvents } from "node:readline";
import { CliError, EXIT } from "../failure.ts";
import type { Input } from "../surroundings.ts";

export interface Key {
  /** `return`, `up`, `backspace`, …; of a character, the character. */
  readonly name: string;
  /** What it writes; empty for keys that write nothing. */
  readonly text: string;
}

interface Pressed {
  readonly name?: string;
  readonly ctrl?: boolean;
  readonly meta?: boolean;
  readonly sequence?: string;
}

type Terminal = Input & { setRawMode?(raw: boolean): unknown };

export class Keys {
  readonly #input: Terminal;
  readonly #waiting: Key[] = [];
  #ended = false;
  #wake: () => void = () => {};

  constructor(input: Input) {
    this.#input = input;
  }

  open(): void {
    emitKeypressEvents(this.#input);
    this.#input.on("keypress", this.#press).once("end", this.#end);
    this.#input.setRawMode?.(true);
    this.#input.resume();
  }

  close(): void {
    this.#input.off("keypress", this.#press).off("end", this.#end);
    this.#input.setRawMode?.(false);
    this.#input.pause();
  }

  /** Rejects at Ctrl-C, Ctrl-D and the end of the input. */
  async next(): Promise<Key> {
    while (this.#waiting.length === 0) {
      if (this.#ended) throw new CliError("Interrupted: nothing was written.", { exit: EXIT.interrupted });
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#waiting.shift()!;
  }

  // In raw mode Ctrl-C is a key like any other.
  readonly #press = (text: string | undefined, { name = "", ctrl, meta, sequence }: Pressed): void => {
    if (ctrl && (name === "c" || name === "d")) return this.#end();
    const writes = !ctrl && !meta && text !== undefined && /^[^\p{C}]+$/u.test(text);
    this.#waiting.push({ name: ctrl ? `ctrl-${name}` : name || (sequence ?? ""), text: writes ? text : "" });
    this.#wake();
  };

  readonly #end = (): void => {
    this.#ended = true;
    this.#wake();
  };
}
