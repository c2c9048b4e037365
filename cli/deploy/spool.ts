import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CliError } from "../failure.ts";

/** Runs `use` with a folder for temporary files, which is gone afterwards however the command ends, unless it is killed. */
export async function withSpool<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = makeFolder();
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    return await use(folder);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), "colibri-"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CliError(`No temporary folder can be made in ${tmpdir()} (${code}): set TMPDIR to another.`, {
      cause: error,
    });
  }
}
