import { Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "./context.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { createStyle } from "./output/style.ts";
import { ownVersion } from "./own-version.ts";

type Ended = (code: ExitCode) => void;

const JSON_OPTION = ["--json", "print JSON instead of text"] as const;
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
  for (const add of [addDeploy, addInvoke, addLogs, addList, addInspect, addDelete, addDoctor, addVersion, addServe])
    add(program, context, ended);
  return program;
}

function styleError(text: string, context: Context): string {
  return text.replace(/^error:/, createStyle(context.stderr, context.env)("red", "error:"));
}

function command(
  program: Command,
  nameAndArguments: string,
  description: string,
  examples: readonly string[],
): Command {
  const name = nameAndArguments.split(" ")[0];
  return program
    .command(nameAndArguments)
    .description(description)
    .helpOption("-h, --help", "show this help")
    .showHelpAfterError(`  See \`npx colibri ${name} --help\`.`)
    .addHelpText("after", `\nExamples:\n${examples.map((example) => `  $ npx colibri ${example}\n`).join("")}`);
}

function tenantOption(): Option {
  return new Option("--tenant <name>", "whose functions").default("default");
}

function addDeploy(program: Command, context: Context, ended: Ended): void {
  command(program, "deploy [folder]", "Build and release the functions that the folder's colibri.yaml names.", [
    "deploy",
    "deploy examples/hello",
    "deploy examples/hello --dry-run",
    "deploy --prune",
  ])
    .option("--prune", "remove the app's functions that colibri.yaml no longer names")
    .option("--dry-run", "show what would be uploaded, and do nothing")
    .option("-v, --verbose", "show what builds print")
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (folder: string | undefined, options) => {
      const { deploy } = await import("./commands/deploy.ts");
      ended(await deploy(context, folder ?? ".", options));
    });
}

function addInvoke(program: Command, context: Context, ended: Ended): void {
  const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];
  command(program, "invoke <app/function>", "Call a function and print its answer.", [
    `invoke hello/greet --data '{"name":"Ada"}'`,
    "invoke thumbnails/thumbnail --file photo.jpg --output small.jpg",
    "invoke summary/summarise --content-type text/csv < sales.csv",
    "invoke hello/greet --path '/anything?name=Ada' --method GET",
  ])
    .option("-d, --data <text>", "send this text: as JSON if it is, as plain text otherwise")
    .option("-f, --file <path>", "send this file, `-` for standard input")
    .option("-o, --output <path>", "write the answer to this file")
    .option("--content-type <type>", "say what is sent, instead of guessing")
    .option("-H, --header <header>", "send this header, such as 'Accept: text/csv'; may be repeated", collect)
    .option("-X, --method <method>", "HTTP method (default: POST with data, GET without)")
    .option("--path <path>", "what follows the function's address, such as /items?page=2")
    .option("--async", "do not wait for the answer")
    .option("-v, --verbose", "show the answer's status, headers and times on standard error")
    .addOption(tenantOption())
    .action(async (name: string, options) => {
      const { invoke } = await import("./commands/invoke.ts");
      ended(await invoke(context, name, options));
    });
}

function addLogs(program: Command, context: Context, ended: Ended): void {
  command(program, "logs <app/function>", "Show what a function logged.", [
    "logs hello/greet",
    "logs hello/greet --follow",
    "logs hello/greet --since 10m --json",
    "logs hello/greet --invocation 01JD3Q0Z7M5W8K2R4T6V9XABCD",
  ])
    .option("-f, --follow", "go on showing new lines until Ctrl-C")
    .option(
      "-n, --tail <lines>",
      "the last lines only (default: 100, or all with --since or --invocation)",
      wholeNumber,
    )
    .option("--since <time>", "from this time on: a span such as 10m, 2h, 1d, or a time such as 2026-01-31T12:00:00Z")
    .option("--invocation <id>", "of one invocation only")
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (name: string, options) => {
      const { logs } = await import("./commands/logs.ts");
      ended(await logs(context, name, options));
    });
}

function addList(program: Command, context: Context, ended: Ended): void {
  command(program, "list", "List what is deployed.", ["list", "list --json"])
    .alias("ls")
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (options) => {
      const { list } = await import("./commands/list.ts");
      ended(await list(context, options));
    });
}

function addInspect(program: Command, context: Context, ended: Ended): void {
  command(
    program,
    "inspect <app[/function]>",
    "Show all about an app, or a function with its revisions and last invocations.",
    ["inspect hello", "inspect hello/greet", "inspect hello/greet --json"],
  )
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (name: string, options) => {
      const { inspect } = await import("./commands/inspect.ts");
      ended(await inspect(context, name, options));
    });
}

function addDelete(program: Command, context: Context, ended: Ended): void {
  command(program, "delete <app[/function]>", "Delete a function, or an app with all its functions.", [
    "delete hello/greet",
    "delete hello --yes",
  ])
    .option("-y, --yes", "do not ask; where nobody can be asked, as in a script, nobody is")
    .option(...JSON_OPTION)
    .addOption(tenantOption())
    .action(async (name: string, options) => {
      const { remove } = await import("./commands/delete.ts");
      ended(await remove(context, name, options));
    });
}

function addDoctor(program: Command, context: Context, ended: Ended): void {
  command(program, "doctor", "Check what this machine can do, and say how to get more.", ["doctor", "doctor --json"])
    .option(...JSON_OPTION)
    .action(async (options) => {
      const { doctor } = await import("./commands/doctor.ts");
      ended(await doctor(context, options));
    });
}

function addVersion(program: Command, context: Context, ended: Ended): void {
  command(program, "version", "Show the versions of this command line, Node and the platform.", [
    "version",
    "version --json",
  ])
    .option(...JSON_OPTION)
    .action(async (options) => {
      const { version } = await import("./commands/version.ts");
      ended(await version(context, options));
    });
}

function addServe(program: Command, _context: Context, ended: Ended): void {
  command(program, "serve", "Run the platform on this machine until Ctrl-C; `npm start` does this.", [
    "serve",
    "serve --role=gateway,agent",
  ])
    .option("--role <roles>", "run these roles only: control, gateway, agent, async")
    .action(async (options: { role?: string }) => {
      const { serve } = await import("#platform/main/serve.ts");
      ended(await serve(options.role));
    });
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) > 100_000)
    throw new InvalidArgumentError("It takes a whole number up to 100000.");
  return Number(text);
}
