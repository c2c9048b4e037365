/** Wakes those who wait for news about a key. Asked for before looking, a notice can't be missed. */
export class Notices {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** Resolves at the next `tell` about this key, or when the signal aborts. */
  next(key: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const waiting = this.#waiting.get(key) ?? new Set();
      this.#waiting.set(key, waiting);
      const wake = () => {
        signal.removeEventListener("abort", wake);
        waiting.delete(wake);
        if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key);
        resolve();
      };
      waiting.add(wake);
      signal.addEventListener("abort", wake);
    });
  }

  tell(key: string): void {
    for (const wake of [...(this.#waiting.get(key) ?? [])]) wake();
  }
}

export function noticeKey(tenant: string, id: string): string {
  return `${tenant}/${id}`;
}
