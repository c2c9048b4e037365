import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../failure.ts";
import { fileReason } from "./reason.ts";
import { askSecret } from "./secret.ts";

const MAXIMUM_BYTES = 64 * 1024;

/** From a file (`-`: standard input), a pipe, or whoever sits at the terminal. Never from the command line: others can read that. */
export async function readToken(context: Context, file: string | undefined, whose: string): Promise<string> {
  if (file !== undefined && file !== "-") return checked(fromFile(context, file), `--token-file ${file}`);
  if (file === undefined && context.stdin.isTTY === true)
    return checked(await askSecret(context, `Token for ${whose}: `), "The token");
  if (file === undefined && !context.hasPipedInput())
    throw usageError(
      "There is no terminal to ask for the token at.",
      "Use --token-file FILE, or write the token to standard input.",
    );
  return checked(await fromInput(context), "Standard input");
}

function fromFile({ cwd }: Context, file: string): string {
  try {
    return readFileSync(resolve(cwd, file), "utf8");
  } catch (error) {
    throw new CliError(`--token-file ${file} can't be read: ${fileReason(error)}.`, {
      cause: error,
    });
  }
}

async function fromInput({ stdin }: Context): Promise<string> {
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
