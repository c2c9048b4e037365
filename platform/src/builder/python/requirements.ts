import { readFile, realpath, stat } from "node:fs/promises";
import { dirname, join, posix, sep } from "node:path";
import { dependenciesFailed } from "../failure.ts";
import { createRedactor } from "../redact.ts";

const redact = createRedactor([]);

/** All requirements of a function in one list, each line understood: pip never sees a line that is not. */
export interface Requirements {
  readonly lines: readonly string[];
  readonly constraints: readonly string[];
  /** Whether every requirement has a hash: then the same lines install the same files for ever. */
  readonly isHashed: boolean;
}

const NAME = `[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?`;
const VERSION = String.raw`(?:===|[<>=!~]=|[<>])\s*[A-Za-z0-9.*+!_-]+`;
const VERSIONS = String.raw`\(?\s*${VERSION}(?:\s*,\s*${VERSION})*\s*,?\s*\)?`;
const WHEEL = String.raw`@\s*https:\/\/[^\s;#]+\.whl(?:#\S*)?`;
const HASHES = String.raw`(?:\s+--hash[= ](?:sha256|sha384|sha512):[0-9a-f]+)*`;
const REQUIREMENT = new RegExp(
  String.raw`^(${NAME})\s*(?:\[[\w\s.,-]*\])?\s*(?:${VERSIONS}|${WHEEL})?\s*(?:;[^#]*?)?(${HASHES})\s*$`,
);
const INCLUDE = /^(?:-r|-c|--requirement|--constraint)(?:\s+|=)(\S.*)$/;
const ARCHIVE = /\.(?:whl|zip|egg|tar|tgz|tar\.\w+)$/i;
const MAXIMUM_FILES = 50;
const MAXIMUM_BYTES = 1024 ** 2;

export async function readRequirements(folder: string, fileName: string): Promise<Requirements> {
  const reading = new Reading(await realpath(folder));
  await reading.file(fileName, "lines");
  const { lines, constraints } = reading;
  return { lines, constraints, isHashed: lines.length > 0 && lines.every((line) => line.includes("--hash")) };
}

/** Of lines that stand in no file of pip's. */
export function requirementsOf(lines: readonly string[], where: string): Requirements {
  for (const line of lines) checked(line, where);
  return { lines, constraints: [], isHashed: lines.length > 0 && lines.every((line) => line.includes("--hash")) };
}

class Reading {
  readonly lines: string[] = [];
  readonly constraints: string[] = [];
  readonly #root: string;
  #files = 0;

  constructor(root: string) {
    this.#root = root;
  }

  async file(fileName: string, into: "lines" | "constraints"): Promise<void> {
    if (++this.#files > MAXIMUM_FILES) throw dependenciesFailed(`${fileName} includes files without end.`);
    const text = await this.#read(fileName);
    for (const { line, number } of logicalLines(text)) {
      const where = `${fileName}:${number}`;
      const include = INCLUDE.exec(line)?.[1];
      if (include !== undefined) {
        const included = posix.join(dirname(fileName), include.replace(/^["']|["']$/g, ""));
        await this.file(included, /^-(?:c|-constraint)/.test(line) ? "constraints" : into);
      } else if (!ignored(line)) this[into].push(checked(line, where));
    }
  }

  async #read(fileName: string): Promise<string> {
    const path = await realpath(join(this.#root, fileName)).catch(() => undefined);
    if (path === undefined)
      throw dependenciesFailed(`${fileName}, which the requirements include, is not in the folder.`);
    if (!path.startsWith(this.#root + sep))
      throw dependenciesFailed(`${fileName}, which the requirements include, lies outside of the function's folder.`);
    if ((await stat(path)).size > MAXIMUM_BYTES)
      throw dependenciesFailed(`${fileName} is larger than ${MAXIMUM_BYTES} bytes.`);
    return (await readFile(path, "utf8")).replace(/^\ufeff/, "");
  }
}

/** Lines as pip has them: joined at a backslash, without comments. */
function* logicalLines(text: string): Generator<{ line: string; number: number }> {
  let joined = "";
  let first = 0;
  for (const [index, raw] of text.split(/\r\n|\n|\r/).entries()) {
    if (joined === "") first = index + 1;
    const isComment = /^\s*#/.test(raw);
    const continues = raw.endsWith("\\") && !isComment;
    joined += isComment ? "" : continues ? `${raw.slice(0, -1)} ` : raw;
    if (continues) continue;
    const line = joined.replace(/(?:^|\s)#.*$/, "").trim();
    joined = "";
    if (line !== "") yield { line, number: first };
  }
  if (joined.trim() !== "") yield { line: joined.trim(), number: first };
}

/** Options that ask for what is done anyway. */
function ignored(line: string): boolean {
  return /^--(?:only-binary[= ]\S+|prefer-binary|require-hashes)$/.test(line);
}

function checked(line: string, where: string): string {
  const shown = redact(JSON.stringify(line.slice(0, 100)));
  if (line.includes("${"))
    throw dependenciesFailed(`${where}: ${shown}: variables are not filled in: write the value.`);
  if (line.startsWith("-"))
    throw dependenciesFailed(
      `${where}: the option ${shown} is not taken: requirements may have --hash, -r and -c. Where packages come from is the platform's setting (PIP_INDEX_URL).`,
    );
  const match = REQUIREMENT.exec(line);
  if (match !== null && !ARCHIVE.test(match[1] ?? "")) return line;
  throw dependenciesFailed(
    `${where}: ${shown} is not a requirement: write a package and its versions, such as "requests==2.32.3", or "name @ https://….whl".`,
  );
}
