import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, formatOptions, tenantOption } from "./command.ts";

export function addList(program: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(command(program, "list", "List what is deployed.", ["list", "list --json"]), "wide", "name")
    .alias("ls")
    .option("-w, --watch", "show it again and again until Ctrl-C")
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (options) => {
      const { list } = await import("../commands/list.ts");
      ended(await list(surroundings, options));
    });
}
