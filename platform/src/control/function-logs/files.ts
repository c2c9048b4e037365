import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";

const FILE = /^([1-9][0-9]{0,14})\.ndjson$/;
const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 10;
const EMPTY: Buffer = Buffer.alloc(0);

export interface LogFile {
  readonly number: number;
  readonly bytes: number;
  /** When it was last written, milliseconds since 1970. */
  readonly writtenMs: number;
}

export function logFilePath(folder: string, number: number): string {
  return join(folder, `${number}.ndjson`);
}

/** Files of one function, oldest first. */
export async function listLogFiles(folder: string): Promise<LogFile[]> {
  const names = await unlessMissing(readdir(folder), []);
  const files = await Promise.all(
    names.map(async (name): Promise<LogFile | undefined> => {
      const number = Number(FILE.exec(name)?.[1] ?? 0);
      const found = number > 0 ? await unlessMissing(stat(join(folder, name)), undefined) : undefined;
      return found && { number, bytes: found.size, writtenMs: found.mtimeMs };
    }),
  );
  return files.filter((file) => file !== undefined).sort((a, b) => a.number - b.number);
}

/** Undefined when it is gone. */
export function openLogFile(folder: string, number: number): Promise<FileHandle | undefined> {
  return unlessMissing(open(logFilePath(folder, number), "r"), undefined);
}

export async function unlessMissing<T, N>(promise: Promise<T>, missing: N): Promise<T | N> {
  try {
    return await promise;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return missing;
    throw error;
  }
}

/** Complete lines before `end`, the last one first, with where they start. What has no newline yet is left out. */
export async function* linesBackwards(
  file: FileHandle,
  end: number,
): AsyncGenerator<{ readonly start: number; readonly text: string }> {
  let position = end;
  /** From `position` on: the end of a line whose start has not been read, its newline included. */
  let rest = EMPTY;
  while (position > 0) {
    const bytes = Math.min(BLOCK_BYTES, position);
    position -= bytes;
    const block = Buffer.allocUnsafe(bytes);
    await file.read(block, 0, bytes, position);
    const data = Buffer.concat([block, rest]);
    let newline = data.lastIndexOf(NEWLINE);
    while (newline >= 0) {
      const before = newline === 0 ? -1 : data.lastIndexOf(NEWLINE, newline - 1);
      if (before < 0 && position > 0) break;
      yield { start: position + before + 1, text: data.toString("utf8", before + 1, newline) };
      newline = before;
    }
    rest = newline < 0 ? EMPTY : data.subarray(0, newline + 1);
  }
}
