import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, tenantOption } from "./command.ts";

export function addOpen(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "open <app[/function]>", "Open a function's address in the browser.", [
    "open hello/greet",
    "open hello/greet --path '/anything?name=Ada'",
    "open hello --print",
  ])
    .option("--path <path>", "what follows the function's address, such as /items?page=2")
    .option("--print", "print the address, and open nothing")
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (name: string, options) => {
      const { open } = await import("../commands/open.ts");
      ended(await open(surroundings, name, options));
    });
}
