import { Argument, type Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, type Ended } from "./command.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

/** What completion scripts call: `__complete <shell> -- <words>`. Not shown in any help. */
const COMPLETE = "__complete";

export function addCompletion(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "completion", "Print a script that makes a shell complete commands, options and names.", [
    "completion bash > ~/.local/share/bash-completion/completions/colibri",
    "completion zsh > ~/.zfunc/_colibri",
    "completion fish > ~/.config/fish/completions/colibri.fish",
  ])
    .addArgument(new Argument("<shell>", "which shell").choices(SHELLS))
    .action(async (shell: (typeof SHELLS)[number]) => {
      const { completion } = await import("../commands/completion.ts");
      ended(completion(surroundings, shell));
    });
  program
    .command(`${COMPLETE} <shell> [words...]`, { hidden: true })
    .helpOption(false)
    .action(async (shell: (typeof SHELLS)[number], words: string[]) => {
      const { complete } = await import("../commands/completion.ts");
      ended(await complete(surroundings, program, shell, words));
    });
}
