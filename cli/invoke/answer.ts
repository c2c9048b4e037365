import { closeSync, fstatSync, openSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { resolve } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { textOf } from "#sdk/node/client/request.ts";
import { reasonOf } from "../connection/connection.ts";
import { CliError, EXIT, remedyOf } from "../failure.ts";
import { fileReason } from "../input/reason.ts";
import { printable } from "../output/printable.ts";
import { showBytes } from "../output/units.ts";
import type { Surroundings } from "../surroundings.ts";
import { isTextual } from "./content-type.ts";

/** What failed, from the headers and the body that the gateway puts in place of an answer. */
export async function failureOf(answer: IncomingMessage, name: string): Promise<CliError | undefined> {
  const code = headerOf(answer, "colibri-error-code");
  if (code === undefined) return undefined;
  const message = detailOf(await textOf(answer).catch(() => "")) ?? headerOf(answer, "colibri-error-message") ?? "";
  return new CliError(`${message || "The invocation failed."} [${code}, status ${answer.statusCode}]`, {
    exit: code === "function-not-found" ? EXIT.notFound : EXIT.failure,
    hints: [...remedyOf(code), ...logHint(answer, name)],
    code,
  });
}

/** An answer of the function's own that says it failed. */
export function statusFailure(answer: IncomingMessage, name: string): CliError | undefined {
  const status = answer.statusCode ?? 0;
  if (status < 400) return undefined;
  return new CliError(`The function answered with status ${status}.`, { hints: logHint(answer, name) });
}

function logHint(answer: IncomingMessage, name: string): string[] {
  const id = headerOf(answer, "colibri-invocation-id");
  return id === undefined ? [] : [`Invocation ${id}; its log: npx colibri logs ${name} --invocation ${id}`];
}

function detailOf(text: string): string | undefined {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === "string" && detail !== "" ? detail : undefined;
  } catch {
    return undefined;
  }
}

export function headerOf(answer: IncomingMessage, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** The body to `--output` or standard output, byte for byte and never held whole; nothing binary to a terminal. */
export async function writeAnswer(
  surroundings: Surroundings,
  answer: IncomingMessage,
  name: string,
  output: string | undefined,
): Promise<void> {
  const counter = new ByteCounter();
  try {
    if (output !== undefined) await toFile(answer, counter, resolve(surroundings.cwd, output), output);
    else if (surroundings.stdout.isTTY) await toTerminal(surroundings, answer, counter);
    else await pipeline(answer, counter, surroundings.stdout, { end: false });
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`The answer broke off after ${showBytes(counter.bytes)} (${reasonOf(error)}).`, {
      hints: [...(output === undefined ? [] : [`--output ${output} was not kept.`]), ...logHint(answer, name)],
      cause: error,
    });
  }
}

class ByteCounter extends Transform {
  bytes = 0;
  lastByte: number | undefined;

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.bytes += chunk.byteLength;
    this.lastByte = chunk.at(-1);
    done(null, chunk);
  }
}

/** Half an answer is not left behind as if it were one. */
async function toFile(answer: IncomingMessage, counter: ByteCounter, path: string, given: string): Promise<void> {
  const writing = <T>(action: () => T): T => {
    try {
      return action();
    } catch (error) {
      throw new CliError(`--output ${given} can't be written: ${fileReason(error)}.`, {
        cause: error,
      });
    }
  };
  // At once: what has come is lost if the connection breaks before it is read.
  const file = writing(() => openSync(path, "w"));
  try {
    await pipeline(answer, counter, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) writing(() => writeFileSync(file, chunk));
    });
  } catch (error) {
    removeFile(file, path);
    throw error;
  } finally {
    closeSync(file);
  }
}

/** Files only: --output may name a device or a pipe. */
function removeFile(file: number, path: string): void {
  if (fstatSync(file).isFile()) rmSync(realpathSync(path), { force: true });
}

async function toTerminal(surroundings: Surroundings, answer: IncomingMessage, counter: ByteCounter): Promise<void> {
  const type = headerOf(answer, "content-type");
  if (isTextual(type)) {
    await pipeline(answer, counter, surroundings.stdout, { end: false });
    if (counter.bytes > 0 && counter.lastByte !== 0x0a) surroundings.stdout.write("\n");
    return;
  }
  // Read to its end: the function must not be cut off.
  await pipeline(answer, counter, async (chunks: AsyncIterable<Buffer>) => {
    for await (const _chunk of chunks);
  });
  if (counter.bytes === 0) return;
  const what = `The answer is ${showBytes(counter.bytes)} of ${printable(type ?? "an unknown type")}: not shown on a terminal.`;
  surroundings.stderr.write(`${what}\nAdd --output FILE, or redirect it with > FILE.\n`);
}
