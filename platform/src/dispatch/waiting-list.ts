import type { Invocation } from "./invocation.ts";

/** First in, first out; bounded by its reader; a client that leaves, leaves in O(1). An invocation is in at most one list. */
export class WaitingList {
  #first: Invocation | null = null;
  #last: Invocation | null = null;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(invocation: Invocation): void {
    invocation.before = this.#last;
    invocation.after = null;
    if (this.#last === null) this.#first = invocation;
    else this.#last.after = invocation;
    this.#last = invocation;
    this.#length++;
  }

  /** Back to the front: for one that was forwarded and not taken. */
  unshift(invocation: Invocation): void {
    invocation.before = null;
    invocation.after = this.#first;
    if (this.#first === null) this.#last = invocation;
    else this.#first.before = invocation;
    this.#first = invocation;
    this.#length++;
  }

  shift(): Invocation | null {
    const first = this.#first;
    if (first !== null) this.remove(first);
    return first;
  }

  /** The invocation must be in this list. */
  remove(invocation: Invocation): void {
    if (invocation.before === null) this.#first = invocation.after;
    else invocation.before.after = invocation.after;
    if (invocation.after === null) this.#last = invocation.before;
    else invocation.after.before = invocation.before;
    invocation.before = null;
    invocation.after = null;
    this.#length--;
  }
}
