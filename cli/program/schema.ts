import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, type Ended } from "./command.ts";

export function addSchema(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "schema [folder]", "Teach an editor what colibri.yaml may say.", [
    "schema",
    "schema shop",
    "schema --print",
  ])
    .option("--print", "print the JSON schema instead of writing it beside colibri.yaml")
    .action(async (folder, options) => {
      const { schema } = await import("../commands/schema.ts");
      ended(schema(surroundings, folder ?? ".", options));
    });
}
