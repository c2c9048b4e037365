import { INITIAL_WINDOW } from "#contract/guest/link.ts";
import { FrameError } from "#contract/link/frame.ts";

/** A reader is called when something changed: more bytes, the end, or a failure. */
type Reader = () => void;

/**
 * The body of a request, as it arrives.
 *
 * Invariants: 1. at most INITIAL_WINDOW bytes are held that nobody has taken; 2. credit is given only for what was taken.
 */
export class IncomingBody {
  readonly #credit: (bytes: number) => void;
  #pieces: Buffer[] = [];
  #window = INITIAL_WINDOW;
  /** Taken, but not yet told to the sender. */
  #owed = 0;
  #ended = false;
  #failure: Error | undefined;
  #reader: Reader | undefined;

  constructor(credit: (bytes: number) => void) {
    this.#credit = credit;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  /** @throws FrameError when the sender breaks the contract. */
  push(piece: Buffer, fin: boolean): void {
    if (this.#ended) throw new FrameError("body after its end");
    this.#window -= piece.length;
    if (this.#window < 0) throw new FrameError("body beyond the window");
    this.#ended = fin;
    if (this.#failure !== undefined) return;
    if (piece.length > 0) this.#pieces.push(piece);
    this.#reader?.();
  }

  /** No more will come that matters. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#pieces = [];
    this.#reader?.();
  }

  /** Everything held, which the sender may then replace. */
  take(): Buffer[] {
    const pieces = this.#pieces;
    if (pieces.length === 0) return pieces;
    this.#pieces = [];
    for (const piece of pieces) this.#owe(piece.length);
    return pieces;
  }

  /** The next piece, or undefined when none is held. */
  takeOne(): Buffer | undefined {
    const piece = this.#pieces.shift();
    if (piece !== undefined) this.#owe(piece.length);
    return piece;
  }

  onChange(reader: Reader | undefined): void {
    this.#reader = reader;
  }

  #owe(bytes: number): void {
    this.#owed += bytes;
    if (this.#ended || this.#owed < INITIAL_WINDOW / 4) return;
    this.#window += this.#owed;
    this.#credit(this.#owed);
    this.#owed = 0;
  }
}
