import { readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { isObject } from "#contract/shape.ts";
import { buildFailed } from "../failure.ts";

const FILE = "tsconfig.json";
const MAXIMUM_BYTES = 1024 ** 2;
/** Text in quotes, which is kept, or what JSON does not have. */
const COMMENT = /("(?:[^"\\\n]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
const TRAILING_COMMA = /("(?:[^"\\\n]|\\.)*")|,(?=\s*[}\]])/g;

/**
 * The compiler options of the tsconfig.json in `root`, as JSON. `extends` is left out: esbuild would read whatever file it names,
 * and show its content if that is not JSON.
 */
export async function readTsconfig(root: string): Promise<string> {
  const path = await realpath(join(root, FILE)).catch(() => undefined);
  if (path === undefined) return "{}";
  if (!path.startsWith(root + sep)) throw buildFailed(`${FILE} is a link that leaves the function's folder.`);
  if ((await stat(path)).size > MAXIMUM_BYTES) throw buildFailed(`${FILE} is larger than ${MAXIMUM_BYTES} bytes.`);
  return compilerOptionsOf(await readFile(path, "utf8"));
}

/** From JSON with comments and trailing commas. */
export function compilerOptionsOf(text: string): string {
  const blank = (match: string, quoted?: string) => quoted ?? match.replace(/[^\n]/g, " ");
  const json = text
    .replace(/^\ufeff/, "")
    .replace(COMMENT, blank)
    .replace(TRAILING_COMMA, blank);
  let config: unknown;
  try {
    config = JSON.parse(json.trim() === "" ? "{}" : json);
  } catch (error) {
    throw buildFailed(`${FILE} is not JSON: ${(error as Error).message}.`, error);
  }
  if (!isObject(config)) throw buildFailed(`${FILE} must hold a JSON object.`);
  const { compilerOptions } = config;
  return JSON.stringify(isObject(compilerOptions) ? { compilerOptions } : {});
}
