// Third-party packages, each allowed in named folders for a reason. `domain`, `dispatch` and `guest` use none.
import { isBuiltin } from "node:module";
import { packageOf, resolveImport } from "./paths.ts";
import { type File, type Finding, finding, importsOf, isFixture, isScript } from "./source.ts";

export type PackageRow = { name: string; folders: string[]; why: string };

export const PACKAGES: PackageRow[] = [
  { name: "fastify", folders: ["platform/src/control/"], why: "the control API: routing, validation, hooks" },
  {
    name: "typebox",
    folders: ["contract/", "platform/src/control/"],
    why: "one source for types, validation and OpenAPI",
  },
  { name: "kysely", folders: ["platform/src/drivers/store/"], why: "one query layer over several databases" },
  {
    name: "esbuild",
    folders: ["platform/src/builder/", "sdk/node/build.ts"],
    why: "bundles users' code, the guests and the SDK",
  },
  {
    name: "yaml",
    folders: ["contract/config/", "platform/src/builder/", "cli/output/"],
    why: "colibri.yaml, with line numbers for messages; settings of pnpm and Yarn; --output yaml",
  },
  {
    name: "tar-stream",
    folders: ["platform/src/builder/"],
    why: "bundles and uploads are tar archives",
  },
  { name: "ignore", folders: ["platform/src/builder/", "tools/"], why: "the rules of .gitignore files" },
  { name: "koffi", folders: ["platform/src/base/"], why: "system calls that Node lacks: mount, unshare, waitpid" },
  { name: "commander", folders: ["cli/"], why: "arguments, help and completion" },
];

// Programs of their own, with their own package.json.
const OWN_PACKAGES = /^examples\//;

export function checkPackages(files: File[], rows: PackageRow[] = PACKAGES): Finding[] {
  const unused = new Set(rows.flatMap((row) => row.folders.map((folder) => useKey(row.name, folder))));
  const findings: Finding[] = [];
  for (const file of files) {
    if (!isScript(file.path) || isFixture(file.path) || OWN_PACKAGES.test(file.path)) continue;
    for (const { specifier, start } of importsOf(file)) {
      if (specifier === "" || isBuiltin(specifier) || resolveImport(file.path, specifier) !== undefined) continue;
      const name = packageOf(specifier);
      const folders = rows.find((row) => row.name === name)?.folders ?? [];
      const folder = folders.find((allowed) => file.path.startsWith(allowed));
      if (folder === undefined) findings.push(finding(file, start, notAllowed(name, folders)));
      else unused.delete(useKey(name, folder));
    }
  }
  return [...findings, ...unusedRows(files, rows, unused), ...unknownDependencies(files, rows)];
}

function notAllowed(name: string, folders: string[]): string {
  const where = folders.length > 0 ? `only in ${folders.join(", ")}` : "nowhere";
  return `package "${name}" is allowed ${where}: do without, or give it a row and a reason in tools/tidy/packages.ts`;
}

function unusedRows(files: File[], rows: PackageRow[], unused: Set<string>): Finding[] {
  const findings: Finding[] = [];
  for (const { name, folders } of rows) {
    for (const folder of folders) {
      if (!unused.has(useKey(name, folder)) || !files.some((file) => file.path.startsWith(folder))) continue;
      const message = `"${name}" is allowed in ${folder} and not used there: drop it from the row`;
      findings.push({ path: "tools/tidy/packages.ts", line: 1, message });
    }
  }
  return findings;
}

function unknownDependencies(files: File[], rows: PackageRow[]): Finding[] {
  const manifest = files.find((file) => file.path === "package.json");
  if (!manifest) return [];
  const dependencies: Record<string, string> = JSON.parse(manifest.text).dependencies ?? {};
  return Object.keys(dependencies)
    .filter((name) => !rows.some((row) => row.name === name))
    .map((name) =>
      finding(
        manifest,
        manifest.text.indexOf(`"${name}"`),
        `dependency "${name}" has no row in tools/tidy/packages.ts`,
      ),
    );
}

function useKey(name: string, folder: string): string {
  return `${name} ${folder}`;
}
