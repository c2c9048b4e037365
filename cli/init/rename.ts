/** Gives an app another name: in colibri.yaml, and in its README where commands and addresses have it. */
import { type AppConfig, parseAppConfig } from "#contract/config/app-config.ts";
import { CliError } from "../failure.ts";

export function renameApp(text: string, config: AppConfig, name: string): string {
  if (config.app === name) return text;
  const renamed = text.replace(/^(app:[ \t]*)(["']?)([a-z0-9-]+)\2(?=[ \t]*(?:#|$))/m, `$1${name}`);
  const parsed = parseAppConfig(renamed, { exists: () => true });
  if (parsed.kind === "config" && parsed.config.app === name) return renamed;
  throw new CliError(
    `The template's app can't be renamed to ${name}: in its colibri.yaml "app: ${config.app}" does not stand on a line of its own.`,
  );
}

/** `/fn/<app>/` in addresses and `<app>/<function>` in commands. */
export function renameInReadme(text: string, config: AppConfig, name: string): string {
  const functions = Object.keys(config.functions).join("|");
  return text
    .replaceAll(`/fn/${config.app}/`, `/fn/${name}/`)
    .replaceAll(new RegExp(`(?<=[\\s\`'"])${config.app}/(${functions})(?![\\w-])`, "g"), (_, fn) => `${name}/${fn}`);
}
