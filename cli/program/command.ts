import { type Command, Option } from "commander";
import type { ExitCode } from "../failure.ts";
import type { Format } from "../output/format.ts";

/** Told how the command ended. */
export type Ended = (code: ExitCode) => void;

export const JSON_OPTION = ["--json", "print JSON instead of text"] as const;

/** A command with its help: name and arguments, what it does in a sentence, examples without `npx colibri`. */
export function command(
  parent: Command,
  nameAndArguments: string,
  description: string,
  examples: readonly string[],
): Command {
  const added = parent.command(nameAndArguments);
  return added
    .description(description)
    .helpOption("-h, --help", "show this help")
    .showHelpAfterError(`  See \`npx colibri ${pathOf(added)} --help\`.`)
    .addHelpText("after", `\nExamples:\n${examples.map((example) => `  $ npx colibri ${example}\n`).join("")}`);
}

/** A command that only holds others. */
export function group(parent: Command, name: string, description: string, examples: readonly string[]): Command {
  return command(parent, name, description, examples).helpCommand(false).usage("<command> [options]");
}

/** `context list` */
export function pathOf(command: Command): string {
  const above = command.parent;
  return above?.parent ? `${pathOf(above)} ${command.name()}` : command.name();
}

export function tenantOption(): Option {
  return new Option("--tenant <name>", "whose functions").default("default");
}

export function contextOption(): Option {
  return new Option("--context <context>", "which platform, of those in `npx colibri context list`");
}

/** `--json` and `--output`, for commands that print data. All have a table, JSON and YAML; `more` says what else. */
export function formatOptions(command: Command, ...more: ("wide" | "name")[]): Command {
  const formats: Format[] = ["table", ...more, "json", "yaml"];
  return command
    .addOption(new Option("--json", "print JSON, as with --output json").conflicts("output"))
    .addOption(new Option("-o, --output <format>", "how to print").choices(formats));
}
