import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, formatOptions, tenantOption } from "./command.ts";

export function addInspect(program: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(
      program,
      "inspect <app[/function]>",
      "Show all about an app, or a function with its revisions and last invocations.",
      ["inspect hello", "inspect hello/greet", "inspect hello/greet --json"],
    ),
    "wide",
    "name",
  )
    .option("-w, --watch", "show it again and again until Ctrl-C")
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (name: string, options) => {
      const { inspect } = await import("../commands/inspect.ts");
      ended(await inspect(surroundings, name, options));
    });
}
