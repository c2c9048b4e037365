/**
 * The function's own .npmrc, of which only what says where packages come from is taken. Other keys name programs to run (`git`,
 * `script-shell`), folders to write to, or switch install scripts on: they would give a function's upload the platform's rights.
 */

export interface FilteredNpmrc {
  readonly text: string;
  /** Keys that were left out. */
  readonly ignored: readonly string[];
  readonly secrets: readonly string[];
}

const TAKEN =
  /^(?:registry|@[\w.-]+:registry|always-auth|strict-ssl|legacy-peer-deps|\/\/[^\s=]+:(?:_authToken|_auth|username|_password|always-auth))$/;
const SECRET = /:(?:_authToken|_auth|_password)$/;
/** Of no effect on an installation from a lock file: not worth a word. */
const HARMLESS =
  /^(?:save-exact|save-prefix|omit-lockfile-registry-resolved|audit|fund|engine-strict|progress|loglevel|package-lock|lockfile-version|update-notifier|init-\S+)$/;

export function filterNpmrc(text: string): FilteredNpmrc {
  const taken: string[] = [];
  const ignored: string[] = [];
  const secrets: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^\s#;=[][^=]*?)\s*(?:=\s*(.*?)\s*)?$/.exec(line);
    if (match === null) continue;
    const [, key = "", value = ""] = match;
    // `${NAME}` would be filled from the environment of the platform.
    if (!TAKEN.test(key) || value.includes("${")) {
      if (!HARMLESS.test(key)) ignored.push(key.slice(0, 60));
      continue;
    }
    taken.push(`${key}=${value}`);
    if (SECRET.test(key)) secrets.push(value.replace(/^["']|["']$/g, ""));
  }
  return { text: taken.map((line) => `${line}\n`).join(""), ignored, secrets };
}
