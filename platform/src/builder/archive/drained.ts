/** What zlib's and tar-stream's streams have in common; each has types of its own. */
interface Drains {
  on(event: "drain" | "close", listener: () => void): Drains;
  off(event: "drain" | "close", listener: () => void): Drains;
}

/** Resolves when `stream` takes more, or never will. */
export function drained(stream: Drains): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done).off("close", done);
      resolve();
    };
    stream.on("drain", done).on("close", done);
  });
}
