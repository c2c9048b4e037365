import type { Command } from "commander";
import type { Context } from "../context.ts";
import { command, type Ended, JSON_OPTION, tenantOption } from "./command.ts";

export function addInspect(program: Command, context: Context, ended: Ended): void {
  command(
    program,
    "inspect <app[/function]>",
    "Show all about an app, or a function with its revisions and last invocations.",
    ["inspect hello", "inspect hello/greet", "inspect hello/greet --json"],
  )
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (name: string, options) => {
      const { inspect } = await import("../commands/inspect.ts");
      ended(await inspect(context, name, options));
    });
}
