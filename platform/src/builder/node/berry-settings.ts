/**
 * Yarn's own .yarnrc.yml from version 2 on, of which only what says where packages come from, and what their checksums depend on,
 * is taken. Other keys name plugins, programs and folders.
 */
import { isObject } from "#contract/shape.ts";

const REGISTRY_KEYS = ["npmRegistryServer", "npmAuthToken", "npmAuthIdent", "npmAlwaysAuth"];
const SECRET_KEYS = ["npmAuthToken", "npmAuthIdent"];

export interface BerrySettings {
  /** JSON is YAML as well. */
  readonly text: string;
  readonly secrets: readonly string[];
}

type Table = Record<string, unknown>;

export function berrySettings(
  given: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): BerrySettings {
  const settings: Table = { ...fromEnvironment(environment), ...registryOf(given) };
  if (isObject(given)) {
    const { compressionLevel, packageExtensions } = given;
    if (typeof compressionLevel === "number" || compressionLevel === "mixed")
      settings.compressionLevel = compressionLevel;
    if (isObject(packageExtensions)) settings.packageExtensions = packageExtensions;
    for (const key of ["npmRegistries", "npmScopes"])
      if (isObject(given[key])) settings[key] = registriesOf(given[key]);
  }
  return { text: JSON.stringify(settings), secrets: secretsIn(settings) };
}

/** How the platform's host reaches the network, in Yarn's words. */
function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): Table {
  const of = (name: string) => environment[name] ?? environment[name.toUpperCase()];
  const settings: Table = {};
  const registry = of("npm_config_registry");
  if (registry !== undefined) settings.npmRegistryServer = registry.replace(/\/$/, "");
  if (registry?.startsWith("http:")) settings.unsafeHttpWhitelist = [new URL(registry).hostname];
  const proxies = {
    httpProxy: of("http_proxy"),
    httpsProxy: of("https_proxy"),
    httpsCaFilePath: of("npm_config_cafile"),
  };
  for (const [key, value] of Object.entries(proxies)) if (value) settings[key] = value;
  settings.httpTimeout = Number(of("npm_config_fetch_timeout") ?? 60_000);
  settings.httpRetry = Number(of("npm_config_fetch_retries") ?? 2);
  return settings;
}

function registriesOf(table: Table): Table {
  return Object.fromEntries(Object.entries(table).map(([name, registry]) => [name, registryOf(registry)]));
}

function registryOf(value: unknown): Table {
  if (!isObject(value)) return {};
  const taken = REGISTRY_KEYS.filter((key) => {
    const setting = value[key];
    // `${NAME}` would be filled from the environment.
    return typeof setting === "boolean" || (typeof setting === "string" && !setting.includes("${"));
  });
  return Object.fromEntries(taken.map((key) => [key, value[key]]));
}

function secretsIn(value: unknown): string[] {
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    SECRET_KEYS.includes(key) && typeof inner === "string" ? [inner, ...inner.split(":").slice(1)] : secretsIn(inner),
  );
}

/** No file of another name counts: neither the function's nor one of a folder further up. */
export const BERRY_SETTINGS_FILE = ".yarnrc.colibri.yml";

export function berryEnvironment(globalFolder: string): Readonly<Record<string, string>> {
  return {
    YARN_RC_FILENAME: BERRY_SETTINGS_FILE,
    YARN_GLOBAL_FOLDER: globalFolder,
    YARN_ENABLE_GLOBAL_CACHE: "1",
    YARN_NODE_LINKER: "node-modules",
    YARN_NM_MODE: "classic",
    YARN_ENABLE_SCRIPTS: "0",
    YARN_ENABLE_TELEMETRY: "0",
    YARN_ENABLE_PROGRESS_BARS: "0",
    YARN_ENABLE_COLORS: "0",
    YARN_IGNORE_PATH: "1",
  };
}
