import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, type Ended, formatOptions } from "./command.ts";

export function addExplain(program: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(
      program,
      "explain [error-code]",
      "Explain an error code: what it means and what to do. Of a status, list the codes that have it; without one, list all.",
      ["explain function-timeout", "explain 503", "explain", "explain queue-timeout --json"],
    ),
    "name",
  ).action(async (code: string | undefined, options) => {
    const { explain } = await import("../commands/explain.ts");
    ended(await explain(surroundings, code, options));
  });
}
