import { delimiter, dirname, join } from "node:path";

export interface ToolEnvironmentOptions {
  /** The platform's own environment: a few variables of it are passed on. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The Node that functions run on: first in the PATH, so that scripts find it. */
  readonly node: string;
}

/** How to reach the network and registries from here; nothing that is meant for the platform alone. */
const PASSED =
  /^(?:LANG|LC_ALL|TZ|(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)|NODE_EXTRA_CA_CERTS|REQUESTS_CA_BUNDLE|npm_config_(?:registry|cafile|proxy|https_proxy|noproxy|strict_ssl|fetch_\w+)|PIP_(?:INDEX_URL|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|TRUSTED_HOST|CERT|PROXY|CONFIG_FILE|DEFAULT_TIMEOUT|RETRIES))$/i;

export interface ToolEnvironment {
  readonly variables: Readonly<Record<string, string>>;
  /** Parts of them that must not be shown: user info of addresses. */
  readonly secrets: readonly string[];
}

/** The environment of npm and pip: their HOME and TMPDIR are in `scratch`. */
export function toolEnvironment(options: ToolEnvironmentOptions, scratch: string): ToolEnvironment {
  const passed = Object.entries(options.environment).filter(
    (entry): entry is [string, string] => PASSED.test(entry[0]) && entry[1] !== undefined,
  );
  const variables = {
    ...Object.fromEntries(passed),
    PATH: [dirname(options.node), options.environment.PATH ?? "/usr/local/bin:/usr/bin:/bin"].join(delimiter),
    HOME: join(scratch, "home"),
    TMPDIR: join(scratch, "tmp"),
  };
  return { variables, secrets: passed.flatMap(([, value]) => userInfosOf(value)) };
}

function userInfosOf(value: string): string[] {
  return [...value.matchAll(/\w+:\/\/([^\s/@]+)@/g)].flatMap(([, info = ""]) => [info, ...info.split(":").slice(1)]);
}
