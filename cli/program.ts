import { Command } from "commander";
import { asTyped } from "#base/own-command.ts";
import { EXIT, usageError } from "./failure.ts";
import { createStyle } from "./output/style.ts";
import { ownVersion } from "./own-version.ts";
import { addApply } from "./program/apply.ts";
import { addBuild } from "./program/build.ts";
import { contextOption, type Ended, pathOf } from "./program/command.ts";
import { addCompletion } from "./program/completion.ts";
import { addConfig } from "./program/config.ts";
import { addContext, addLogin, addLogout } from "./program/context.ts";
import { addDelete } from "./program/delete.ts";
import { addDeploy } from "./program/deploy.ts";
import { addDev } from "./program/dev.ts";
import { addDoctor } from "./program/doctor.ts";
import { addExplain } from "./program/explain.ts";
import { hintFor, takes } from "./program/hints.ts";
import { addInit } from "./program/init.ts";
import { addInspect } from "./program/inspect.ts";
import { addInvoke } from "./program/invoke.ts";
import { addList } from "./program/list.ts";
import { addLogs } from "./program/logs.ts";
import { addOpen } from "./program/open.ts";
import { addSchema } from "./program/schema.ts";
import { addServe } from "./program/serve.ts";
import { addTest } from "./program/test.ts";
import { addVersion } from "./program/version.ts";
import type { Surroundings } from "./surroundings.ts";

const EXIT_CODES = `Exit codes: ${EXIT.ok} success · ${EXIT.failure} failed · ${EXIT.usage} wrong command line · ${EXIT.unreachable} platform not reachable · ${EXIT.notPermitted} not permitted · ${EXIT.notFound} not found · ${EXIT.interrupted} interrupted`;

/** In the order of the help. */
const COMMANDS = [
  addInit,
  addDev,
  addTest,
  addDeploy,
  addApply,
  addBuild,
  addInvoke,
  addLogs,
  addList,
  addInspect,
  addOpen,
  addConfig,
  addDelete,
  addExplain,
  addContext,
  addLogin,
  addLogout,
  addDoctor,
  addSchema,
  addCompletion,
  addVersion,
  addServe,
];

/**
 * Every command with its arguments and options. What a command does is in commands/, loaded when it runs, so that starting costs
 * what the one command needs.
 */
export function createProgram(surroundings: Surroundings, ended: Ended): Command {
  const program = new Command("colibri");
  program
    .description("Deploy functions to Colibri and call them.")
    .usage("<command> [options]")
    .version(ownVersion(), "-V, --version", "show the version of this command line")
    .exitOverride()
    .enablePositionalOptions()
    .addOption(contextOption().hideHelp())
    .helpCommand("help [command]", "show what a command takes")
    .showHelpAfterError("  See `npx colibri --help`.")
    .configureOutput({
      writeOut: (text) => void surroundings.stdout.write(asTyped(text, surroundings)),
      writeErr: (text) => void surroundings.stderr.write(asTyped(text, surroundings)),
      outputError: (text, write) => write(styleError(text, surroundings) + hintFor(program, text)),
      getOutHelpWidth: () => surroundings.stdout.columns || 100,
      getErrHelpWidth: () => surroundings.stderr.columns || 100,
    })
    .addHelpText(
      "after",
      `\n${EXIT_CODES}\nConnection: --context, else COLIBRI_URL and COLIBRI_TOKEN, else the context in use, else the platform in COLIBRI_HOME.`,
    );
  const own: Surroundings & { chosen?: string | undefined } = { ...surroundings };
  program.hook("preAction", (_program, action) => {
    own.chosen = chosenBy(program, action);
  });
  for (const add of COMMANDS) add(program, own, ended);
  return program;
}

/** `--context` is taken before the command too; the one behind it counts. */
function chosenBy(program: Command, action: Command): string | undefined {
  const { context } = program.opts();
  if (context !== undefined && !takes("--context", action))
    throw usageError(`${pathOf(action)} takes no --context: leave it out.`);
  const chosen = action.opts().context ?? context;
  if (chosen !== undefined) action.setOptionValue("context", chosen);
  return chosen;
}

function styleError(text: string, surroundings: Surroundings): string {
  return text.replace(/^error:/, createStyle(surroundings.stderr, surroundings.env)("red", "error:"));
}
