import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, formatOptions, tenantOption } from "./command.ts";

export function addApply(program: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(program, "apply", "Deploy several apps side by side, as a colibri.apps.yaml or folders name them.", [
      "apply -f colibri.apps.yaml",
      "apply -f examples/hello examples/thumbnails",
      "apply -f . --dry-run",
      "apply -f - < colibri.apps.yaml",
    ]),
    "name",
  )
    .requiredOption(
      "-f, --file <path...>",
      "a colibri.apps.yaml, folders with a colibri.yaml, or `-` for standard input",
    )
    .option("--prune", "remove functions of these apps that their colibri.yaml no longer names")
    .option("--dry-run", "show what would change on the platform, and do nothing")
    .option("-v, --verbose", "show what builds print")
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (options) => {
      const { apply } = await import("../commands/apply.ts");
      ended(await apply(surroundings, options));
    });
}
