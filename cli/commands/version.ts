import { type Connection, findConnection } from "../connection/connection.ts";
import { platformFile, readPlatform } from "../connection/home.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { type FormatOptions, print } from "../output/format.ts";
import { createStyle } from "../output/style.ts";
import { renderFacts } from "../output/table.ts";
import { ownVersion } from "../own-version.ts";
import type { Surroundings } from "../surroundings.ts";

const ANSWER_MS = 1_000;

interface PlatformVersion {
  readonly version: string | null;
  readonly text: string;
}

/** Says what it can: a platform that is not there is no failure of this command. */
export async function version(surroundings: Surroundings, options: FormatOptions): Promise<ExitCode> {
  const connection = findConnection(surroundings);
  const platform = await platformVersion(connection);
  const versions = { cli: ownVersion(), node: process.versions.node, platform: platform.version };
  const facts = [
    ["colibri", versions.cli],
    ["node", versions.node],
    ["platform", platform.text],
  ] as const;
  const text = (): string => renderFacts(facts, createStyle(surroundings.stdout, surroundings.env));
  surroundings.stdout.write(await print({ data: { ...versions, url: connection.control.value }, text }, options));
  return EXIT.ok;
}

async function platformVersion(connection: Connection): Promise<PlatformVersion> {
  const { control, home, origin } = connection;
  // Nothing says that one runs: then loading what speaks HTTP would take longer than all the rest.
  if (origin === "home" && readPlatform(home) === undefined)
    return { version: null, text: `not running here (there is no ${platformFile(home)})` };
  const { Client } = await import("../client/client.ts");
  try {
    const health = await new Client(connection, "default").health(ANSWER_MS);
    return { version: health.version, text: `${health.version} at ${control.value}` };
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    const away = error.exit === EXIT.unreachable ? `not running at ${control.value}` : `unknown: ${error.message}`;
    return { version: null, text: away };
  }
}
