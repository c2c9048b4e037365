import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, JSON_OPTION, tenantOption } from "./command.ts";

export function addTest(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "test [folder]", "Call a folder's functions as colibri.test.yaml says, and compare their answers.", [
    "test",
    "test hello/greet",
    "test examples/hello --filter name",
    "test --deployed --junit report.xml",
    "test hello/greet --deployed --file examples/hello/colibri.test.yaml",
  ])
    .option("--function <name>", "cases of this function only; so does <app>/<function> instead of a folder")
    .option("--filter <text>", "cases with this text in their name, or in their function's")
    .option("-f, --file <path>", "the file of cases (default: colibri.test.yaml in the folder)")
    .option("--deployed", "call what is deployed, instead of guests that are started for it here")
    .option("--url <address>", "call the functions at this address")
    .option("--junit <file>", "write the results into this file as JUnit's XML")
    .option("-v, --verbose", "show what the platform itself logs")
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .addOption(contextOption())
    .action(async (folder: string | undefined, options) => {
      const { test } = await import("../commands/test.ts");
      ended(await test(surroundings, folder, options));
    });
}
