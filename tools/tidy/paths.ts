import { posix } from "node:path";
import manifest from "../../package.json" with { type: "json" };

// `"#base/*": "./platform/src/base/*"` → ["#base/", "platform/src/base/"]
const ALIASES = Object.entries(manifest.imports).map(([alias, folder]) => [
  alias.slice(0, -"*".length),
  folder.slice("./".length, -"*".length),
]) as Array<[alias: string, folder: string]>;

/** The repository path an import means, or undefined for packages and built-in modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (specifier.startsWith(".")) return posix.join(posix.dirname(from), specifier);
  for (const [alias, folder] of ALIASES) {
    if (specifier.startsWith(alias)) return posix.normalize(folder + specifier.slice(alias.length));
  }
  return undefined;
}

/** `@scope/name/sub` → `@scope/name`. */
export function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
