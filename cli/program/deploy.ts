import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, formatOptions, tenantOption } from "./command.ts";

export function addDeploy(program: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(program, "deploy [folder]", "Build and release the functions that the folder's colibri.yaml names.", [
      "deploy",
      "deploy examples/hello",
      "deploy examples/hello --dry-run",
      "deploy --prune",
      "deploy --watch",
    ]),
    "name",
  )
    .option("--prune", "remove the app's functions that colibri.yaml no longer names")
    .option("--dry-run", "show what would be uploaded, and do nothing")
    .option("-w, --watch", "deploy again after every change, until Ctrl-C")
    .option("-v, --verbose", "show what builds print")
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (folder: string | undefined, options) => {
      const { deploy } = await import("../commands/deploy.ts");
      ended(await deploy(surroundings, folder ?? ".", options));
    });
}
