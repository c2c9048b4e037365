import { GUEST_FRAMES, INITIAL_WINDOW, MAXIMUM_CHUNK } from "#contract/guest/link.ts";
import { FLAG_FIN } from "#contract/link/frame.ts";
import type { Connection } from "./connection.ts";

/** An answer that is not one frame: HEAD, then DATA as far as the window allows. */
export class OutgoingBody {
  readonly #connection: Pick<Connection, "send">;
  readonly #stream: number;
  #window = INITIAL_WINDOW;
  #stopped = false;
  #wake: (() => void) | undefined;

  constructor(connection: Pick<Connection, "send">, stream: number) {
    this.#connection = connection;
    this.#stream = stream;
  }

  head(head: string): void {
    this.#connection.send(GUEST_FRAMES.HEAD, 0, this.#stream, head, null);
  }

  /** Resolves when all is on its way, false when nobody wants it any more. */
  async write(bytes: Uint8Array): Promise<boolean> {
    for (let from = 0; from < bytes.length; ) {
      if (this.#stopped) return false;
      if (this.#window === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      const size = Math.min(this.#window, MAXIMUM_CHUNK, bytes.length - from);
      this.#connection.send(GUEST_FRAMES.DATA, 0, this.#stream, "", bytes.subarray(from, from + size));
      this.#window -= size;
      from += size;
    }
    return !this.#stopped;
  }

  finish(): void {
    this.#connection.send(GUEST_FRAMES.DATA, FLAG_FIN, this.#stream, "", null);
  }

  credit(bytes: number): void {
    this.#window += bytes;
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }
}
