import type { Command } from "commander";
import type { Context } from "../context.ts";
import { command, type Ended, JSON_OPTION, tenantOption } from "./command.ts";

export function addList(program: Command, context: Context, ended: Ended): void {
  command(program, "list", "List what is deployed.", ["list", "list --json"])
    .alias("ls")
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (options) => {
      const { list } = await import("../commands/list.ts");
      ended(await list(context, options));
    });
}
