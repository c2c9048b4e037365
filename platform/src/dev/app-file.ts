import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type AppConfig, type ParsedConfig, parseAppConfig } from "#contract/config/app-config.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { formatMistakes } from "#contract/config/mistakes.ts";

export type ReadApp =
  | { readonly kind: "config"; readonly config: AppConfig; readonly warnings: readonly string[] }
  /** `text` shows them with their lines. */
  | { readonly kind: "broken"; readonly text: string };

/** The configuration as it is now. That the folder of a function is missing is a matter of that function alone. */
export function readApp(folder: string): ReadApp {
  let text: string;
  try {
    text = readFileSync(join(folder, APP_FILE), "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const gone = existsSync(folder) ? `it is no longer in ${folder}` : `the folder ${folder} is gone`;
    const why = code === "ENOENT" ? `${gone}: put it back` : code;
    return { kind: "broken", text: `${APP_FILE} can't be read (${why}).` };
  }
  const parsed = parseWithoutFolders(text, folder);
  if (parsed.kind === "mistakes") return { kind: "broken", text: formatMistakes(parsed.mistakes, text, APP_FILE) };
  // Here timers are fired by hand.
  const warnings = parsed.warnings.filter(({ code }) => code !== "timers-not-fired").map((warning) => warning.text);
  return { kind: "config", config: parsed.config, warnings };
}

function parseWithoutFolders(text: string, folder: string): ParsedConfig {
  const isThere = (path: string) => existsSync(join(folder, path));
  const named = parseAppConfig(text, { exists: () => true });
  if (named.kind === "mistakes") return parseAppConfig(text, { exists: isThere });
  const sources = Object.values(named.config.functions).map(({ source }) => source);
  const missing = sources.filter((source) => !isThere(source));
  const isMissing = (path: string) => missing.some((source) => path === source || path.startsWith(`${source}/`));
  return parseAppConfig(text, { exists: (path) => isThere(path) || isMissing(path) });
}
