import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, formatOptions } from "./command.ts";

export function addVersion(program: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(program, "version", "Show the versions of this command line, Node and the platform.", [
      "version",
      "version --json",
    ]),
  )
    .addOption(contextOption())
    .action(async (options) => {
      const { version } = await import("../commands/version.ts");
      ended(await version(surroundings, options));
    });
}
