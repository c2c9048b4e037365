/** What a template's folder holds that is copied, checked before anything is written. */
import { join } from "node:path";
import { type AppConfig, parseAppConfig } from "#contract/config/app-config.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { formatMistakes } from "#contract/config/mistakes.ts";
import { ARCHIVE_LIMITS, type ArchiveLimits } from "#platform/builder/archive/limits.ts";
import { type FolderEntry, walkFolder } from "#platform/builder/archive/walk.ts";
import { CliError } from "../failure.ts";
import { readTextFile } from "../input/text-file.ts";
import { TEMPLATE_FILE } from "./catalogue.ts";

const MIB = 1024 ** 2;
/** A starting point is small; what is larger was named by mistake, or in bad faith. */
const TEMPLATE_LIMITS: ArchiveLimits = {
  ...ARCHIVE_LIMITS,
  maximumEntries: 5_000,
  maximumBytes: 100 * MIB,
  maximumFileBytes: 50 * MIB,
};

export interface Contents {
  readonly folder: string;
  readonly entries: readonly FolderEntry[];
  readonly configText: string;
  readonly config: AppConfig;
}

/** `shown` names the template in messages. */
export async function readContents(folder: string, shown: string, limits = TEMPLATE_LIMITS): Promise<Contents> {
  const walked = await walkFolder(folder, { ignoring: "made", limits });
  if (walked.kind === "refused") throw new CliError(`${shown} can't be a template: ${walked.message}.`);
  const entries = walked.entries.filter(({ path }) => path !== TEMPLATE_FILE);
  if (!entries.some(({ path, kind }) => path === APP_FILE && kind === "file"))
    throw new CliError(`${shown} is no template: it has no ${APP_FILE}.`, {
      hints: ["Name the folder that holds it; in a Git repository by //folder after the address."],
    });
  const configText = readTextFile(join(folder, APP_FILE), APP_FILE);
  const paths = new Set(entries.flatMap(({ path }) => [path, ...foldersAbove(path)]));
  const parsed = parseAppConfig(configText, { exists: (path) => path === "." || paths.has(path) });
  if (parsed.kind === "mistakes")
    throw new CliError(
      `The ${APP_FILE} of ${shown} has mistakes:\n\n${formatMistakes(parsed.mistakes, configText, APP_FILE)}`,
    );
  return { folder, entries, configText, config: parsed.config };
}

function foldersAbove(path: string): string[] {
  const names = path.split("/").slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}
