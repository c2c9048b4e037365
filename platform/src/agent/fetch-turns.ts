/** One fetch's place among those under way. */
export interface FetchTurn {
  readonly urgent: boolean;
  /** Aborts when somebody waits for it. */
  readonly hurried: AbortSignal;
  /** Somebody waits for it from now on. */
  hurry(): void;
  /** Resolves when nothing more urgent is under way. */
  turn(): Promise<void>;
  leave(): void;
}

/**
 * What somebody waits for goes before what is fetched ahead, which stands still meanwhile.
 * Owns: how many urgent fetches are under way. Invariant: an urgent one never waits.
 */
export class FetchTurns {
  #urgent = 0;
  #changed = Promise.withResolvers<void>();

  enter(): FetchTurn {
    let urgent = false;
    const hurried = new AbortController();
    return {
      hurried: hurried.signal,
      get urgent() {
        return urgent;
      },
      hurry: () => {
        if (urgent) return;
        urgent = true;
        this.#urgent++;
        hurried.abort();
        this.#tell();
      },
      turn: async () => {
        while (!urgent && this.#urgent > 0) await this.#changed.promise;
      },
      leave: () => {
        if (urgent) this.#urgent--;
        urgent = false;
        this.#tell();
      },
    };
  }

  #tell(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}
