import type { Command } from "commander";
import { type Completion, completionOf } from "../completion/completion.ts";
import { SCRIPTS, type Shell } from "../completion/scripts.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";

export function completion(surroundings: Surroundings, shell: Shell): ExitCode {
  surroundings.stdout.write(SCRIPTS[shell]);
  return EXIT.ok;
}

/**
 * Answers a completion script: a line that says what else the shell may offer (`none`, `files` or `folders`), then a candidate a
 * line. Never fails, and says nothing on standard error: that would end up in the midst of what is being typed.
 */
export async function complete(
  surroundings: Surroundings,
  program: Command,
  shell: Shell,
  words: readonly string[],
): Promise<ExitCode> {
  const found = await completionOf(surroundings, program, words).catch(
    (): Completion => ({ also: "none", candidates: [] }),
  );
  const lines = found.candidates.map(({ value, about }) => (shell === "bash" || !about ? value : `${value}\t${about}`));
  surroundings.stdout.write([found.also, ...lines].map((line) => `${line}\n`).join(""));
  return EXIT.ok;
}
