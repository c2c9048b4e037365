import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, contextOption, type Ended, formatOptions } from "./command.ts";

export function addDoctor(program: Command, surroundings: Surroundings, ended: Ended): void {
  formatOptions(
    command(program, "doctor", "Check what this machine can do, and say how to get more.", [
      "doctor",
      "doctor --json",
      "doctor --clean",
    ]),
  )
    .option("--clean [id]", "remove what killed platforms left on this machine; with an id, what is known of none")
    .addOption(contextOption())
    .action(async (options) => {
      const { doctor } = await import("../commands/doctor.ts");
      ended(await doctor(surroundings, options));
    });
}
