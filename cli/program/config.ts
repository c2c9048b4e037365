import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, formatOptions, group, tenantOption } from "./command.ts";

export function addConfig(program: Command, surroundings: Surroundings, ended: Ended): void {
  const parent = group(
    program,
    "config",
    "Set environment variables beside colibri.yaml; they stay across deployments.",
    ["config set hello REGION=north", "config list hello/greet"],
  );
  addReading(parent, surroundings, ended);
  addChanging(parent, surroundings, ended);
}

function addReading(parent: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(parent, "list <app[/function]>", "List what is set for an app, or all that a function runs with.", [
      "config list hello",
      "config list hello/greet --values",
    ]),
    "name",
  )
    .alias("ls")
    .option("--values", "show values too; they may be secrets")
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (name: string, options) => {
      const { listConfig } = await import("../commands/config.ts");
      ended(await listConfig(surroundings, name, options));
    });
  formatOptions(command(parent, "get <app[/function]> <key>", "Print a value.", ["config get hello/greet REGION"]))
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (name: string, key: string, options) => {
      const { getConfig } = await import("../commands/config.ts");
      ended(await getConfig(surroundings, name, key, options));
    });
}

function addChanging(parent: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(
      parent,
      "set <app[/function]> [settings...]",
      "Set variables: new revisions of the same code, without a build.",
      [
        "config set hello REGION=north",
        "config set hello/greet GREETING='Good morning'",
        "config set hello --from-file .env",
      ],
    ),
    "name",
  )
    .option("--from-file <path>", "read KEY=VALUE lines from this file, `-` for standard input")
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (name: string, settings: string[], options) => {
      const { setConfig } = await import("../commands/config.ts");
      ended(await setConfig(surroundings, name, settings, options));
    });
  formatOptions(
    command(parent, "unset <app[/function]> <keys...>", "Go back to what colibri.yaml says.", [
      "config unset hello REGION",
    ]),
    "name",
  )
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (name: string, keys: string[], options) => {
      const { unsetConfig } = await import("../commands/config.ts");
      ended(await unsetConfig(surroundings, name, keys, options));
    });
}
