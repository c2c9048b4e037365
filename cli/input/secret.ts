import { CliError, EXIT } from "../failure.ts";
import type { Input, Surroundings } from "../surroundings.ts";

const END = "\r\n\u0004";
const CTRL_C = "\u0003";
/** What terminals send around pasted text, and arrow keys: no part of a token. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are exactly what is looked for
const ESCAPES = /\u001b\[[\d;]*[~A-Za-z]/g;
const MAXIMUM_LENGTH = 16 * 1024;

/** Asks at the terminal without showing what is typed. Rejects at Ctrl-C. */
export async function askSecret({ stdin, stderr }: Surroundings, question: string): Promise<string> {
  // First: an answer to the question may be pasted at once.
  stdin.setRawMode?.(true);
  stderr.write(question);
  try {
    return await typed(stdin);
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write("\n");
  }
}

async function typed(stdin: Input): Promise<string> {
  let text = "";
  for await (const chunk of stdin.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer | string>) {
    for (const key of String(chunk).replace(ESCAPES, "")) {
      if (key === CTRL_C) throw new CliError("Interrupted.", { exit: EXIT.interrupted });
      if (END.includes(key)) return text;
      if (key === "\u007f" || key === "\b") text = text.slice(0, -1);
      else if (text.length < MAXIMUM_LENGTH) text += key;
    }
  }
  return text;
}
