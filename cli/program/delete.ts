import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, formatOptions, tenantOption } from "./command.ts";

export function addDelete(program: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(program, "delete <app[/function]>", "Delete a function, or an app with all its functions.", [
      "delete hello/greet",
      "delete hello --yes",
    ]),
    "name",
  )
    .option("-y, --yes", "do not ask; where nobody can be asked, as in a script, nobody is")
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (name: string, options) => {
      const { remove } = await import("../commands/delete.ts");
      ended(await remove(surroundings, name, options));
    });
}
