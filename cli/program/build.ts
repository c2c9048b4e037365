import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, type Ended, JSON_OPTION } from "./command.ts";

export function addBuild(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "build [folder]", "Build on this machine, and show what would ship, with sizes.", [
    "build",
    "build examples/hello --function greet",
    "build examples/hello --function greet --output greet.tar",
    "build examples/hello --json",
  ])
    .option("--function <name>", "this function only")
    .option("-o, --output <path>", "write the bundle of one function to this file, a tar")
    .option("-v, --verbose", "show what the build prints, and every file")
    .option(...JSON_OPTION)
    .action(async (folder: string | undefined, options) => {
      const { build } = await import("../commands/build.ts");
      ended(await build(surroundings, folder ?? ".", options));
    });
}
