import { asTyped } from "#base/own-command.ts";
import type { Context } from "../context.ts";
import type { CliError } from "../failure.ts";
import { printable } from "./printable.ts";
import { createStyle } from "./style.ts";

export function renderFailure(error: CliError, context: Pick<Context, "stderr" | "env" | "cwd">): string {
  const style = createStyle(context.stderr, context.env);
  const indented = (text: string): string => printable(asTyped(text, context)).replace(/\n(?=[^\n])/g, "\n  ");
  const hints = error.hints.map((hint) => `  ${style("dim", indented(hint))}\n`);
  return `${style("red", "error:")} ${indented(error.message)}\n${hints.join("")}`;
}
