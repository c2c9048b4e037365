import type { Command } from "commander";
import type { Context } from "../context.ts";
import { command, type Ended, JSON_OPTION, tenantOption } from "./command.ts";

export function addDelete(program: Command, context: Context, ended: Ended): void {
  command(program, "delete <app[/function]>", "Delete a function, or an app with all its functions.", [
    "delete hello/greet",
    "delete hello --yes",
  ])
    .option("-y, --yes", "do not ask; where nobody can be asked, as in a script, nobody is")
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (name: string, options) => {
      const { remove } = await import("../commands/delete.ts");
      ended(await remove(context, name, options));
    });
}
