import { type Command, Option } from "commander";
import type { ExitCode } from "../failure.ts";

/** Told how the command ended. */
export type Ended = (code: ExitCode) => void;

export const JSON_OPTION = ["--json", "print JSON instead of text"] as const;

/** A command with its help: name and arguments, what it does in a sentence, examples without `npx colibri`. */
export function command(
  program: Command,
  nameAndArguments: string,
  description: string,
  examples: readonly string[],
): Command {
  const name = nameAndArguments.split(" ")[0];
  return program
    .command(nameAndArguments)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .showHelpAfterError(`  See \`npx colibri ${name} --help\`.`)
    .addHelpText("after", `\nExamples:\n${examples.map((example) => `  $ npx colibri ${example}\n`).join("")}`);
}

export function tenantOption(): Option {
  return new Option("--tenant <name>", "whose functions").default("default");
}
