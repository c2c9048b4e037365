import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, type Ended, JSON_OPTION } from "./command.ts";

export function addInit(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "init [folder]", "Start an app from a template: one of ours, a folder, or a Git repository.", [
    "init",
    "init shop --template rest-api --language python",
    "init shop --template ../our-template",
    "init shop --template https://git.example.com/team/templates.git//orders#main",
    "init --list",
  ])
    .option(
      "-t, --template <template>",
      "name of a template, a folder, or a Git URL, with //folder and #branch behind it",
    )
    .option("-l, --language <language>", "nodejs, typescript or python, where the template has several")
    .option("-n, --name <app>", "name of the app; that of the folder unless given")
    .option("-y, --yes", "ask nothing: take the first choice of what is not given")
    .option("--force", "replace files that are there")
    .option("--list", "show the templates, and do nothing")
    .option(...JSON_OPTION)
    .action(async (folder: string | undefined, options) => {
      const { init } = await import("../commands/init.ts");
      ended(await init(surroundings, folder, options));
    });
}
