import type { Command } from "commander";
import type { Surroundings } from "../surroundings.ts";
import { command, type Ended } from "./command.ts";

export function addServe(program: Command, _context: Surroundings, ended: Ended): void {
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
