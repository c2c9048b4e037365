/**
 * Places that holders share. While some are free, each holder may have so many; when none is, who has fewer than the one with
 * the most gets that one's oldest: a newcomer is served whatever the others hold.
 *
 * Invariant: a place is given back once, by its holder or by being taken from it.
 */
export class FairShares {
  readonly #perHolder: number;
  readonly #limit: number;
  /** Of each holder's places what is called when one is taken, oldest first. */
  readonly #held = new Map<string, Set<() => void>>();
  #total = 0;

  constructor(limits: { readonly perHolder: number; readonly inAll: number }) {
    this.#perHolder = limits.perHolder;
    this.#limit = limits.inAll;
  }

  /**
   * Gives the place back, and may be called after it was taken. Undefined when there is no place for this holder.
   * @param taken another for every place; called when the place goes to somebody else, before `enter` returns to them
   */
  enter(holder: string, taken: () => void): (() => void) | undefined {
    const count = this.#held.get(holder)?.size ?? 0;
    if (count >= this.#perHolder) return undefined;
    if (this.#total >= this.#limit && !this.#takeFromLargest(count)) return undefined;
    const places = this.#held.get(holder) ?? new Set();
    this.#held.set(holder, places.add(taken));
    this.#total++;
    return () => this.#leave(holder, taken);
  }

  #takeFromLargest(count: number): boolean {
    let [largest, most] = ["", count];
    for (const [holder, { size }] of this.#held) if (size > most) [largest, most] = [holder, size];
    const [oldest] = this.#held.get(largest) ?? [];
    if (oldest === undefined) return false;
    this.#leave(largest, oldest);
    oldest();
    return true;
  }

  #leave(holder: string, taken: () => void): void {
    const places = this.#held.get(holder);
    if (places?.delete(taken) !== true) return;
    this.#total--;
    if (places.size === 0) this.#held.delete(holder);
  }
}
