import type { OutputStream } from "./spawner-client.ts";

/** The end of stderr that is kept to tell why a process ended. */
const STDERR_TAIL = 4 * 1024;
/** What V8 says before it aborts; a long trace follows. */
const HEAP_FULL = "heap out of memory";
/** Output that waits for a listener. */
const UNHEARD_OUTPUT = 16 * 1024;

/** What a guest process itself wrote: handed to one listener, the end of it kept until there is one. */
export class GuestOutput {
  #listener: ((stream: OutputStream, text: string) => void) | undefined;
  #unheard: { stream: OutputStream; text: string }[] = [];
  #stderr = "";
  #heapFull = false;

  /** Whether V8 said that its heap is full. */
  get heapFull(): boolean {
    return this.#heapFull;
  }

  /** The last line that looks like a reason, for messages. */
  get lastWords(): string {
    return this.#stderr.trimEnd().split("\n").at(-1)?.trim() ?? "";
  }

  listen(listener: (stream: OutputStream, text: string) => void): void {
    this.#listener = listener;
    const unheard = this.#unheard;
    this.#unheard = [];
    for (const { stream, text } of unheard) listener(stream, text);
  }

  add(stream: OutputStream, text: string): void {
    if (stream === "stderr") {
      const stderr = this.#stderr + text;
      this.#heapFull ||= stderr.includes(HEAP_FULL);
      this.#stderr = stderr.slice(-STDERR_TAIL);
    }
    if (this.#listener !== undefined) {
      this.#listener(stream, text);
      return;
    }
    this.#unheard.push({ stream, text });
    let length = this.#unheard.reduce((sum, piece) => sum + piece.text.length, 0);
    while (length > UNHEARD_OUTPUT && this.#unheard.length > 1) length -= this.#unheard.shift()!.text.length;
  }
}
