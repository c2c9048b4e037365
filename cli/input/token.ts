import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { CliError, usageError } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import { fileReason } from "./reason.ts";
import { askSecret } from "./secret.ts";

const MAXIMUM_BYTES = 64 * 1024;

/** From a file (`-`: standard input), a pipe, or whoever sits at the terminal. Never from the command line: others can read that. */
export async function readToken(surroundings: Surroundings, file: string | undefined, whose: string): Promise<string> {
  if (file !== undefined && file !== "-") return checked(fromFile(surroundings, file), `--token-file ${file}`);
  if (file === undefined && surroundings.stdin.isTTY === true)
    return checked(await askSecret(surroundings, `Token for ${whose}: `), "The token");
  if (file === undefined && !surroundings.hasPipedInput())
    throw usageError(
      "There is no terminal to ask for the token at.",
      "Use --token-file FILE, or write the token to standard input.",
    );
  return checked(await fromInput(surroundings), "Standard input");
}

function fromFile({ cwd }: Surroundings, file: string): string {
  try {
    return readFileSync(resolve(cwd, file), "utf8");
  } catch (error) {
    throw new CliError(`--token-file ${file} can't be read: ${fileReason(error)}.`, {
      cause: error,
    });
  }
}

async function fromInput({ stdin }: Surroundings): Promise<string> {
  let text = "";
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.length > MAXIMUM_BYTES) break;
  }
  return text;
}

/** What can stand in a header. It is not repeated in the message: it may be another secret. */
function checked(text: string, from: string): string {
  const token = text.trim();
  if (token === "") throw new CliError(`${from} has no token: it is empty.`);
  if (!/^[\x21-\x7e]+$/.test(token) || token.length > MAXIMUM_BYTES)
    throw new CliError(`${from} has no token: a token is one word of printable characters.`);
  return token;
}
