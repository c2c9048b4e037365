import { asTyped } from "#base/own-command.ts";
import type { CliError } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import { printable } from "./printable.ts";
import { createStyle } from "./style.ts";

export function renderFailure(error: CliError, surroundings: Pick<Surroundings, "stderr" | "env" | "cwd">): string {
  const style = createStyle(surroundings.stderr, surroundings.env);
  const indented = (text: string): string => printable(asTyped(text, surroundings)).replace(/\n(?=[^\n])/g, "\n  ");
  const hints = error.hints.map((hint) => `  ${style("dim", indented(hint))}\n`);
  return `${style("red", "error:")} ${indented(error.message)}\n${hints.join("")}`;
}
