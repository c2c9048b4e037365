import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, type Ended } from "./command.ts";

export function addDev(program: Command, surroundings: Surroundings, ended: Ended): void {
  command(program, "dev [folder]", "Run a folder's functions here, and follow every change; no platform is needed.", [
    "dev",
    "dev examples/hello --port 3000",
    "dev --inspect",
    "dev --fire shop/tidy",
  ])
    .option("-p, --port <port>", "of the functions (default: 8080, or the next free one)")
    .option("--inspect [address]", "let debuggers attach, from port 9229 on: one for each function")
    .option("--inspect-brk [address]", "the same, and wait for one before a function's first line")
    .option(
      "--allow-host <host>",
      "answer requests for this host too, such as a tunnel's; once for each",
      (host: string, earlier: readonly string[] = []) => [...earlier, host],
    )
    .option("--fire <app/function>", "fire a timer of a function that is run in another terminal")
    .option("--timer <number>", "with --fire: which of the function's timers, from 1")
    .option("-v, --verbose", "show what the platform itself logs")
    .action(async (folder: string | undefined, options) => {
      const { dev } = await import("../commands/dev.ts");
      ended(await dev(surroundings, folder, options));
    });
}
