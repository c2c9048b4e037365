import { Argument, type Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, type Ended, formatOptions, group } from "./command.ts";

const FUNCTIONS_URL = [
  "--functions-url <url>",
  "address of the functions (default: port 8080 of the same host)",
] as const;

export function addContext(program: Command, surroundings: Surroundings, ended: Ended): void {
  const parent = group(program, "context", "Keep several platforms apart, and choose which one commands speak to.", [
    "context list",
    "context use staging",
  ]);
  addReading(parent, surroundings, ended);
  addChanging(parent, surroundings, ended);
}

function addReading(parent: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(parent, "list", "List the contexts; * marks the one in use.", ["context list", "context list -o name"]),
    "name",
  )
    .alias("ls")
    .action(async (options) => {
      const { listContexts } = await import("../commands/context.ts");
      ended(await listContexts(surroundings, options));
    });
  formatOptions(
    command(parent, "show [context]", "Show which platform commands speak to, and why.", [
      "context show",
      "context show staging --json",
    ]),
  ).action(async (name: string | undefined, options) => {
    const { showContext } = await import("../commands/context.ts");
    ended(await showContext(surroundings, name, options));
  });
}

function addChanging(parent: Command, surroundings: Surroundings, ended: Ended): void {
  command(parent, "use <context>", "Use this context from now on; `local` is the platform of this machine.", [
    "context use staging",
    "context use local",
  ]).action(async (name: string) => {
    const { useContext } = await import("../commands/context.ts");
    ended(await useContext(surroundings, name));
  });
  command(parent, "add <name> <url>", "Add a context, or change one; `login` does so too and checks the token.", [
    "context add staging https://staging.example:8081 --token-file token.txt",
  ])
    .option(...FUNCTIONS_URL)
    .option("--token-file <path>", "the token; `-` for standard input (default: the one kept, or none)")
    .action(async (name: string, url: string, options) => {
      const { saveContext } = await import("../commands/context.ts");
      ended(await saveContext(surroundings, name, url, options));
    });
  command(parent, "remove <context>", "Forget a context and its token.", ["context remove staging"])
    .alias("rm")
    .action(async (name: string) => {
      const { removeContext } = await import("../commands/context.ts");
      ended(await removeContext(surroundings, name));
    });
}

export function addLogin(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "login", "Check a token against a platform and keep both as a context, which is then in use.", [
    "login https://faas.example:8081",
    "login https://faas.example:8081 --context staging --token-file token.txt",
    "login http://127.0.0.1:8081 < .colibri/token",
  ])
    .addArgument(new Argument("[url]", "address of the control API (default: that of the context, or COLIBRI_URL)"))
    .option("--token-file <path>", "the token; `-` for standard input (default: ask for it)")
    .option(...FUNCTIONS_URL)
    .option("--context <context>", "name of the context (default: the name of the host)")
    .action(async (url: string | undefined, options) => {
      const { login } = await import("../commands/login.ts");
      ended(await login(surroundings, url, options));
    });
}

export function addLogout(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "logout", "Forget the token of a context (default: of the one in use).", [
    "logout",
    "logout --context staging",
  ])
    .option("--context <context>", "of which context")
    .action(async () => {
      const { logout } = await import("../commands/login.ts");
      ended(await logout(surroundings));
    });
}
