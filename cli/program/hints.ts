import type { Command } from "commander";
import { closest } from "#contract/config/suggest.ts";

/** Options by names that other programs have for them. */
const ALSO_CALLED: Readonly<Record<string, string>> = { "--lines": "--tail" };

/** What to write instead, a line, where commander's `text` about a wrong command line does not say; else nothing. */
export function hintFor(program: Command, text: string): string {
  const hint =
    meantOption(program, text) ?? placeOfOption(program, text) ?? meantChoice(text) ?? filesOfApply(program, text);
  return hint === undefined ? "" : `  ${hint}\n`;
}

export function takes(flag: string, { options }: Command): boolean {
  return options.some(({ short, long }) => flag === short || flag === long);
}

function unknownOption(text: string): string | undefined {
  return /^error: unknown option '(-[^'=]*)/.exec(text)?.[1];
}

function meantOption(program: Command, text: string): string | undefined {
  const meant = ALSO_CALLED[unknownOption(text) ?? ""];
  const typed = program.commands.find((command) => command.name() === program.args[0]);
  return meant !== undefined && typed !== undefined && takes(meant, typed) ? `Did you mean ${meant}?` : undefined;
}

/** Of an option that stands before the command, and belongs behind it. */
function placeOfOption(program: Command, text: string): string | undefined {
  const flag = unknownOption(text);
  if (flag === undefined || !program.args[0]?.startsWith("-")) return undefined;
  const commands = program.commands.flatMap((command) => [command, ...command.commands]);
  return commands.some((command) => takes(flag, command))
    ? `Options stand behind the command: npx colibri <command> ${flag}`
    : undefined;
}

function meantChoice(text: string): string | undefined {
  const [, given, choices] = /argument '([^']*)' is invalid\. Allowed choices are (.*)\.$/m.exec(text) ?? [];
  const meant = given === undefined || choices === undefined ? undefined : closest(given, choices.split(", "));
  return meant === undefined ? undefined : `Did you mean ${meant}?`;
}

/** `apply shop`, as deploy takes it. */
function filesOfApply(program: Command, text: string): string | undefined {
  if (!/^error: required option '-f, --file/.test(text)) return undefined;
  const given = program.args.slice(1).filter((word) => !word.startsWith("-"));
  return `Write: npx colibri apply -f ${given.length > 0 ? given.join(" ") : "colibri.apps.yaml"}`;
}
