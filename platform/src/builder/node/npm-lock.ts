import { isObject } from "#contract/shape.ts";
import { dependenciesFailed } from "../failure.ts";
import { type LockedManifest, namesIn, parseJson } from "./lock-file.ts";
import { isOutside, sourceOf } from "./sources.ts";

const FOLDER = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)$/;
/** npm puts name and source together with an `@`, and takes them apart at the first. */
const NAME = /^(?:@[\w.~!'()*-]+\/)?[\w.~!'()*-]+$/;
const GROUPS = ["dependencies", "optionalDependencies", "devDependencies", "peerDependencies"];

export interface NpmLock {
  /** Whether something is taken from the function's own folder: the lock file does not tell what. */
  readonly hasLocalPackages: boolean;
}

/** Refuses what npm would take from outside of the function's folder, or from git: it runs npm again in what it has cloned. */
export function readNpmLock({ text, fileName, packageJson }: LockedManifest): NpmLock {
  for (const group of [...GROUPS, "overrides"])
    checkSpecs(namesIn(packageJson, group), { fileName: "package.json", place: [group] });
  const { packages } = parseJson(text, fileName);
  if (!isObject(packages))
    throw dependenciesFailed(
      `${fileName} is too old or damaged: run "npm install" with npm 7 or newer and deploy it again.`,
    );
  let hasLocalPackages = false;
  for (const [path, entry] of Object.entries(packages)) {
    if (path === "" || !isObject(entry)) continue;
    checkEntry(path, entry, { fileName, place: ["packages", path] });
    const isFile = typeof entry.resolved === "string" && /^file:/i.test(entry.resolved);
    hasLocalPackages ||= entry.link === true || isFile || !FOLDER.test(path);
  }
  return { hasLocalPackages };
}

/** Where something stands, such as `overrides` → `x` in package.json. */
interface Where {
  readonly fileName: string;
  readonly place: readonly string[];
}

/** Names and sources; those of `overrides` have tables in them. */
function checkSpecs(specs: Readonly<Record<string, unknown>>, { fileName, place }: Where): void {
  for (const [name, spec] of Object.entries(specs)) {
    const where = { fileName, place: [...place, name] };
    if (isObject(spec)) checkSpecs(spec, where);
    else checkSource(name, spec, where);
  }
}

function checkEntry(path: string, entry: Readonly<Record<string, unknown>>, { fileName, place }: Where): void {
  const { resolved, version, link, name = FOLDER.exec(path)?.[1] } = entry;
  const shown = name === undefined ? path : String(name);
  if (isOutside(path)) throw outside(shown, path, { fileName, place });
  if (name !== undefined && !(typeof name === "string" && NAME.test(name) && NAME.test(FOLDER.exec(path)?.[1] ?? name)))
    throw dependenciesFailed(`${shownPlace({ fileName, place })} is of no package's name: run "npm install" again.`);
  const [key, source] = resolved === undefined || resolved === false ? ["version", version] : ["resolved", resolved];
  const where = { fileName, place: [...place, key as string] };
  // A link's is a path, without anything before it.
  if (link === true && typeof source === "string") {
    if (isOutside(source)) throw outside(shown, source, where);
  } else if (source !== undefined) checkSource(shown, source, where);
}

function checkSource(name: string, source: unknown, where: Where): void {
  const kind = typeof source === "string" ? sourceOf(source) : "elsewhere";
  if (kind === "outside") throw outside(name, source, where);
  if (kind === "elsewhere")
    throw dependenciesFailed(
      `${shownPlace(where)} takes the package ${name} from ${shownSource(source)}: it must come from a registry or an archive's http(s) address, since git repositories may run code when they are installed. Publish it, or put its files into the function's folder and name it by "file:./…".`,
    );
}

function outside(name: string, source: unknown, where: Where) {
  return dependenciesFailed(
    `${shownPlace(where)} takes the package ${name} from ${shownSource(source)}, outside of the function's folder: move it in, or publish it.`,
  );
}

function shownPlace({ fileName, place }: Where): string {
  return `${fileName} (${place.map((key) => JSON.stringify(key)).join(" → ")})`;
}

/** Without a password. */
function shownSource(source: unknown): string {
  return (JSON.stringify(source) ?? "nothing").replace(/\/\/[^/@\s]*@/g, "//…@").slice(0, 200);
}
