import { count } from "#contract/count.ts";
import type { FolderEntry } from "#platform/builder/archive/walk.ts";
import { showBytes } from "../output/units.ts";

export interface Bundled {
  readonly entries: readonly FolderEntry[];
  /** The text of its package.json. */
  readonly packageJson: string | undefined;
  /** The file of the handler: what is built from it brings a source map, for stack traces. */
  readonly handler: string;
}

const INSTALLED = /^(?:node_modules|_packages)\//;
const ENVIRONMENT = /(?:^|\/)\.env(?!\.(?:example|sample|template|dist)$)(?:\.[^/]+)?$/;
const KEYS = /(?:^|\/)(?:id_(?:rsa|ed25519|ecdsa)|\.npmrc|\.netrc|\.pypirc|[^/]+\.(?:pem|p12|pfx|key))$/;
const TESTS =
  /(?:^|\/)(?:__tests__|tests?|spec)\/|\.(?:test|spec)\.[cm]?[jt]sx?$|(?:^|\/)(?:test_[^/]+|[^/]+_test|conftest)\.py$/;
/** Packages that serve development whoever depends on them. */
const FOR_DEVELOPMENT =
  /^(?:node_modules\/(?:typescript|eslint|prettier|jest|vitest|mocha|nodemon|ts-node|webpack|@types\/[^/]+)|_packages\/(?:pytest|mypy|ruff|black|flake8|pylint|tox))$/;
const NAMED = 3;
const LARGE_MAPS_BYTES = 1024 ** 2;

/** What of a bundle its author would probably rather keep. */
export function warningsAbout({ entries, packageJson, handler }: Bundled): string[] {
  const own = entries.filter(({ path }) => !INSTALLED.test(path));
  const named = (found: readonly FolderEntry[]) => namesOf(found.map(({ path }) => path));
  const secrets = own.filter(({ path }) => ENVIRONMENT.test(path) || KEYS.test(path));
  const tests = own.filter(({ path }) => TESTS.test(path));
  const maps = entries.filter(({ path }) => path.endsWith(".map") && path !== builtMap(handler));
  const ownMaps = maps.filter(({ path }) => !INSTALLED.test(path));
  const development = developmentPackages(entries, packageJson);
  const warnings: string[] = [];
  if (secrets.length > 0)
    warnings.push(
      `${named(secrets)} may hold secrets, and whoever may read the bundle can read them: name them in .colibriignore, and use env: in colibri.yaml`,
    );
  if (tests.length > 0)
    warnings.push(`${count(tests.length, "test file")} (${named(tests)}): name them in .colibriignore`);
  if (ownMaps.length > 0 || bytesOf(maps) > LARGE_MAPS_BYTES)
    warnings.push(`${count(maps.length, "source map")}, ${showBytes(bytesOf(maps))} (${named(maps)})`);
  if (development.length > 0)
    warnings.push(
      `${namesOf(development)}: made for development. It belongs in devDependencies or a development group, or comes with a package that needs it`,
    );
  return warnings;
}

function builtMap(handler: string): string {
  return `${handler.replace(/\.[cm]?tsx?$/, ".mjs")}.map`;
}

function developmentPackages(entries: readonly FolderEntry[], packageJson: string | undefined): string[] {
  const declared = Object.keys(devDependenciesOf(packageJson)).map((name) => `node_modules/${name}`);
  const folders = new Set(
    entries.flatMap(({ path }) => /^(?:node_modules\/(?:@[^/]+\/)?|_packages\/)[^/]+(?=\/)/.exec(path)?.[0] ?? []),
  );
  return [...folders].filter((folder) => FOR_DEVELOPMENT.test(folder) || declared.includes(folder)).sort();
}

function devDependenciesOf(packageJson: string | undefined): object {
  try {
    return JSON.parse(packageJson ?? "{}").devDependencies ?? {};
  } catch {
    return {}; // the build has judged it
  }
}

function namesOf(names: readonly string[]): string {
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
  return names.slice(0, NAMED).join(", ") + more;
}

function bytesOf(entries: readonly FolderEntry[]): number {
  return entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.bytes : 0), 0);
}
