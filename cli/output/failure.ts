import type { Context } from "../context.ts";
import type { CliError } from "../failure.ts";
import { printable } from "./printable.ts";
import { createStyle } from "./style.ts";

export function renderFailure(error: CliError, { stderr, env }: Pick<Context, "stderr" | "env">): string {
  const style = createStyle(stderr, env);
  const indented = (text: string): string => printable(text).replace(/\n(?=[^\n])/g, "\n  ");
  const hints = error.hints.map((hint) => `  ${style("dim", indented(hint))}\n`);
  return `${style("red", "error:")} ${indented(error.message)}\n${hints.join("")}`;
}
