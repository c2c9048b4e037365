import { type Command, InvalidArgumentError } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, JSON_OPTION, tenantOption } from "./command.ts";

export function addLogs(program: Command, surroundings: Surroundings, ended: Ended): void {
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
    .addOption(contextOption())
    .action(async (name: string, options) => {
      const { logs } = await import("../commands/logs.ts");
      ended(await logs(surroundings, name, options));
    });
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text) || Number(text) > 100_000)
    throw new InvalidArgumentError("It takes a whole number up to 100000.");
  return Number(text);
}
