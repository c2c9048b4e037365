import type { Command } from "commander";
import type { Context } from "../context.ts";
import { command, type Ended, JSON_OPTION } from "./command.ts";

export function addDoctor(program: Command, context: Context, ended: Ended): void {
  command(program, "doctor", "Check what this machine can do, and say how to get more.", ["doctor", "doctor --json"])
    .option(...JSON_OPTION)
    .action(async (options) => {
      const { doctor } = await import("../commands/doctor.ts");
      ended(await doctor(context, options));
    });
}
