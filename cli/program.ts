import { Command } from "commander";
import type { Context } from "./context.ts";
import { EXIT } from "./failure.ts";
import { createStyle } from "./output/style.ts";
import { ownVersion } from "./own-version.ts";
import { addBuild } from "./program/build.ts";
import type { Ended } from "./program/command.ts";
import { addDelete } from "./program/delete.ts";
import { addDeploy } from "./program/deploy.ts";
import { addDev } from "./program/dev.ts";
import { addDoctor } from "./program/doctor.ts";
import { addInit } from "./program/init.ts";
import { addInspect } from "./program/inspect.ts";
import { addInvoke } from "./program/invoke.ts";
import { addList } from "./program/list.ts";
import { addLogs } from "./program/logs.ts";
import { addSchema } from "./program/schema.ts";
import { addServe } from "./program/serve.ts";
import { addTest } from "./program/test.ts";
import { addVersion } from "./program/version.ts";

const EXIT_CODES = `Exit codes: ${EXIT.ok} success · ${EXIT.failure} failed · ${EXIT.usage} wrong command line · ${EXIT.unreachable} platform not reachable · ${EXIT.notPermitted} not permitted · ${EXIT.notFound} not found · ${EXIT.interrupted} interrupted`;

/**
 * Every command with its arguments and options. What a command does is in commands/, loaded when it runs, so that starting costs
 * what the one command needs.
 */
export function createProgram(context: Context, ended: Ended): Command {
  const program = new Command("colibri");
  program
    .description("Deploy functions to Colibri and call them.")
    .usage("<command> [options]")
    .version(ownVersion(), "-V, --version", "show the version of this command line")
    .exitOverride()
    .helpCommand("help [command]", "show what a command takes")
    .showHelpAfterError("  See `npx colibri --help`.")
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      writeErr: (text) => void context.stderr.write(text),
      outputError: (text, write) => write(styleError(text, context)),
      getOutHelpWidth: () => context.stdout.columns || 100,
      getErrHelpWidth: () => context.stderr.columns || 100,
    })
    .addHelpText(
      "after",
      `\n${EXIT_CODES}\nConnection: COLIBRI_URL and COLIBRI_TOKEN, else the platform in COLIBRI_HOME.`,
    );
  for (const add of [
    addInit,
    addDev,
    addTest,
    addDeploy,
    addBuild,
    addInvoke,
    addLogs,
    addList,
    addInspect,
    addDelete,
    addDoctor,
    addSchema,
    addVersion,
    addServe,
  ])
    add(program, context, ended);
  return program;
}

function styleError(text: string, context: Context): string {
  return text.replace(/^error:/, createStyle(context.stderr, context.env)("red", "error:"));
}
