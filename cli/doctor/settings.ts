import { totalmem } from "node:os";
import { PlatformError } from "#contract/errors.ts";
import { type Config, readConfig } from "#platform/main/config.ts";
import { doubtsOf, settingsInForce } from "#platform/main/settings.ts";
import type { Surroundings } from "../surroundings.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const MIB = 1024 * 1024;

/** As `npm start` would read them here, or why it would not. */
export function readSettings({ env, cwd }: Pick<Surroundings, "env" | "cwd">): Config | PlatformError {
  try {
    return readConfig(env, cwd);
  } catch (error) {
    if (error instanceof PlatformError) return error;
    throw error;
  }
}

export function checkSettings(config: Config | PlatformError, env: Surroundings["env"]): Finding[] {
  if (config instanceof PlatformError)
    return [fail("settings", `\`npm start\` refuses: ${config.message}`, "Correct the variable, or unset it.")];
  const inForce = settingsInForce(env);
  const doubts = doubtsOf(config, env, totalmem() / MIB).map(({ what, remedy }) => warn("settings", what, remedy));
  return [...(inForce === "" ? [] : [ok("settings", inForce)]), ...doubts];
}
