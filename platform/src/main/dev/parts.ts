/** What was opened, to be closed in the opposite order. */
export interface Parts {
  /** Before it is opened: also what could not be opened is closed. */
  add(close: () => Promise<void> | void): void;
  /** Each, whatever became of the others. @throws what one of them threw */
  close(): Promise<void>;
}

export function createParts(): Parts {
  const parts: (() => Promise<void> | void)[] = [];
  return {
    add: (close) => void parts.push(close),
    async close() {
      const failures: unknown[] = [];
      for (const part of parts.splice(0).reverse()) {
        try {
          await part();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join("; "));
      if (failures.length === 1) throw failures[0];
    },
  };
}
