import type { Command } from "commander";
import type { Context } from "../context.ts";
import { command, type Ended, JSON_OPTION, tenantOption } from "./command.ts";

export function addDeploy(program: Command, context: Context, ended: Ended): void {
  command(program, "deploy [folder]", "Build and release the functions that the folder's colibri.yaml names.", [
    "deploy",
    "deploy examples/hello",
    "deploy examples/hello --dry-run",
    "deploy --prune",
  ])
    .option("--prune", "remove the app's functions that colibri.yaml no longer names")
    .option("--dry-run", "show what would be uploaded, and do nothing")
    .option("-v, --verbose", "show what builds print")
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (folder: string | undefined, options) => {
      const { deploy } = await import("../commands/deploy.ts");
      ended(await deploy(context, folder ?? ".", options));
    });
}
