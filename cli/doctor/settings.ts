import { PlatformError } from "#contract/errors.ts";
import { type Config, readConfig } from "#platform/main/config.ts";
import type { Surroundings } from "../surroundings.ts";
import { type Finding, fail } from "./finding.ts";

/** As `npm start` would read them here, or why it would not. */
export function readSettings({ env, cwd }: Pick<Surroundings, "env" | "cwd">): Config | PlatformError {
  try {
    return readConfig(env, cwd);
  } catch (error) {
    if (error instanceof PlatformError) return error;
    throw error;
  }
}

export function checkSettings(config: Config | PlatformError): Finding[] {
  if (config instanceof PlatformError)
    return [fail("settings", `\`npm start\` refuses: ${config.message}`, "Correct the variable, or unset it.")];
  return [];
}
