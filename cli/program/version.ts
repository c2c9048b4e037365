import type { Command } from "commander";
import type { Context } from "../context.ts";
import { command, type Ended, JSON_OPTION } from "./command.ts";

export function addVersion(program: Command, context: Context, ended: Ended): void {
  command(program, "version", "Show the versions of this command line, Node and the platform.", [
    "version",
    "version --json",
  ])
    .option(...JSON_OPTION)
    .action(async (options) => {
      const { version } = await import("../commands/version.ts");
      ended(await version(context, options));
    });
}
