import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { handlerProblem, type RuntimeFamily, splitHandler } from "#contract/config/handler.ts";
import { buildFailed } from "./failure.ts";

const MAXIMUM_BYTES = 64 * 1024 ** 2;
const LISTED = 20;

/** The file of a handler, relative to the function's folder, once it is known to be there. */
export async function findHandler(folder: string, handler: string, family: RuntimeFamily): Promise<string> {
  const problem = handlerProblem(handler, family);
  if (problem !== undefined) throw buildFailed(`The handler ${JSON.stringify(handler.slice(0, 80))} ${problem}.`);
  const { file } = splitHandler(handler);
  const found = await stat(join(folder, file)).catch(() => undefined);
  if (found === undefined || !found.isFile())
    throw buildFailed(
      `There is no file ${JSON.stringify(file)}, which the handler names. The folder has ${await listing(folder)}.`,
    );
  if (found.size > MAXIMUM_BYTES)
    throw buildFailed(`${file} is larger than ${MAXIMUM_BYTES} bytes, too large for a handler.`);
  return file;
}

async function listing(folder: string): Promise<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name)).sort();
  if (names.length === 0) return "no files";
  const more = names.length > LISTED ? ` and ${names.length - LISTED} more` : "";
  return names.slice(0, LISTED).join(", ") + more;
}
