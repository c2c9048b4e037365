import { isUtf8 } from "node:buffer";
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { CliError, usageError } from "../failure.ts";
import { fileReason } from "../input/reason.ts";
import { printable } from "../output/printable.ts";
import type { Surroundings } from "../surroundings.ts";
import { BYTES_TYPE, jsonMistake, typeOfBytes, typeOfFile, typeOfText } from "./content-type.ts";

/** What is sent. Without `bytes` its length is not known before its end. */
export interface Body {
  readonly content: string | Buffer | Readable;
  readonly bytes: number | undefined;
  readonly type: string;
}

export interface BodyOptions {
  readonly data?: string;
  readonly file?: string;
  readonly contentType?: string;
}

/** From `--data`, from `--file`, or from standard input where that is a pipe or a file; else nothing. */
export async function bodyFrom(surroundings: Surroundings, options: BodyOptions): Promise<Body | undefined> {
  const { data, file, contentType } = options;
  if (data !== undefined && file !== undefined) throw usageError("Give --data or --file, not both.");
  if (data !== undefined) {
    if (contentType === undefined) hintAtMistake(surroundings, data);
    return { content: data, bytes: Buffer.byteLength(data), type: contentType ?? typeOfText(data) };
  }
  if (file !== undefined && file !== "-") return bodyFromFile(resolve(surroundings.cwd, file), file, contentType);
  if (file === "-" || surroundings.hasPipedInput()) return bodyFromInput(surroundings, contentType, file === "-");
  return undefined;
}

/** Whoever meant JSON would wonder at what the function was given. */
function hintAtMistake({ stderr }: Surroundings, text: string): void {
  const mistake = jsonMistake(text);
  if (mistake === undefined) return;
  stderr.write(
    `It is sent as text, as it is no JSON: ${printable(mistake)}. --content-type text/plain says that text is meant.\n`,
  );
}

async function bodyFromFile(path: string, given: string, type: string | undefined): Promise<Body> {
  const file = await open(path).catch((error) => {
    throw new CliError(`--file ${given} can't be read: ${fileReason(error)}.`, { cause: error });
  });
  const found = await file.stat();
  if (found.isDirectory()) {
    await file.close();
    throw new CliError(`--file ${given} is a folder; it must be a file.`);
  }
  // Of a pipe or device the size says nothing.
  const bytes = found.isFile() ? found.size : undefined;
  return { content: file.createReadStream(), bytes, type: type ?? typeOfFile(path) };
}

const PEEKED_BYTES = 1024 * 1024;
const SILENT_MS = 3_000;

/**
 * With a type given, standard input is passed on as it comes. Without one up to a MiB is awaited first, to see what it is; more
 * than that counts as bytes. An empty input that nobody asked for is no body: scripts often leave an input open or empty.
 */
async function bodyFromInput(
  surroundings: Surroundings,
  type: string | undefined,
  asked: boolean,
): Promise<Body | undefined> {
  const { stdin } = surroundings;
  const endHint = hintWhenSilent(surroundings);
  if (type !== undefined) return { content: stdin, bytes: undefined, type };
  const chunks: Buffer[] = [];
  let bytes = 0;
  const reading = stdin.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  for (;;) {
    const next = await reading.next();
    endHint();
    if (next.done) break;
    chunks.push(next.value);
    bytes += next.value.byteLength;
    if (bytes <= PEEKED_BYTES) continue;
    return {
      content: Readable.from(joined(chunks, reading), { objectMode: false }),
      bytes: undefined,
      type: BYTES_TYPE,
    };
  }
  if (bytes === 0 && !asked) return undefined;
  const content = Buffer.concat(chunks);
  if (isUtf8(content)) hintAtMistake(surroundings, content.toString());
  return { content, bytes, type: typeOfBytes(content) };
}

async function* joined(chunks: readonly Buffer[], rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void, void> {
  yield* chunks;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** Whoever left a pipe open by mistake learns what is waited for. */
function hintWhenSilent({ stdin, stderr }: Surroundings): () => void {
  const text = "Waiting for data on standard input; `< /dev/null` or `--data ''` sends none.\n";
  const timer = setTimeout(() => stderr.write(text), SILENT_MS).unref();
  const end = (): void => clearTimeout(timer);
  stdin.once("readable", end).once("end", end);
  return end;
}
