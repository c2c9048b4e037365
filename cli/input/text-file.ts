import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { CliError } from "../failure.ts";
import { fileReason } from "./reason.ts";

const MAXIMUM_BYTES = 1024 ** 2;

/** The text of a file that people write. A pipe or device, which might never end, is refused. `shown` names it in messages. */
export function readTextFile(path: string, shown = path): string {
  let file: number | undefined;
  try {
    // Without waiting for whoever would write into a pipe.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = fstatSync(file);
    if (!found.isFile()) throw new CliError(`${shown} is not a regular file: put one there, or a link to one.`);
    if (found.size > MAXIMUM_BYTES)
      throw new CliError(
        `${shown} has ${found.size} bytes, allowed are ${MAXIMUM_BYTES}: it should be a text of some lines.`,
      );
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${shown} can't be read: ${fileReason(error)}.`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
