import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, tenantOption } from "./command.ts";

export function addInvoke(program: Command, surroundings: Surroundings, ended: Ended): void {
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
    .addOption(contextOption())
    .action(async (name: string, options) => {
      const { invoke } = await import("../commands/invoke.ts");
      ended(await invoke(surroundings, name, options));
    });
}
