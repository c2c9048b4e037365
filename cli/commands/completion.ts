import type { Command } from "commander";
import { type Completion, completionOf } from "../completion/completion.ts";
import { SCRIPTS, type Shell } from "../completion/scripts.ts";
import type { Context } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";

export function completion(context: Context, shell: Shell): ExitCode {
  context.stdout.write(SCRIPTS[shell]);
  return EXIT.ok;
}

/**
 * Answers a completion script: a line that says what else the shell may offer (`none`, `files` or `folders`), then a candidate a
 * line. Never fails, and says nothing on standard error: that would end up in the midst of what is being typed.
 */
export async function complete(
  context: Context,
  program: Command,
  shell: Shell,
  words: readonly string[],
): Promise<ExitCode> {
  const found = await completionOf(context, program, words).catch((): Completion => ({ also: "none", candidates: [] }));
  const lines = found.candidates.map(({ value, about }) => (shell === "bash" || !about ? value : `${value}\t${about}`));
  context.stdout.write([found.also, ...lines].map((line) => `${line}\n`).join(""));
  return EXIT.ok;
}
