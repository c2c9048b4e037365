/**
 * Writes an app's files. Owns: a staging folder beside them. All is written there first; only then is it moved into place, in one
 * turn of the event loop, so that Ctrl-C leaves either everything or nothing.
 */
import { constants, existsSync, lstatSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { chmod, copyFile, mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { count } from "#contract/count.ts";
import { CliError } from "../failure.ts";
import type { Contents } from "./contents.ts";

const SHOWN_AT_MOST = 10;
const STAGE = ".colibri-init-";

/** Files whose text is not the template's, by path. */
export type Changed = ReadonlyMap<string, string>;

export interface Destination {
  readonly folder: string;
  /** As the user would write it. */
  readonly shown: string;
  readonly force: boolean;
}

/** @throws CliError naming the files that stand in the way. */
export function checkDestination(contents: Contents, { folder, shown, force }: Destination): void {
  const blocked = contents.entries.flatMap(({ path }) => blockOf(folder, path) ?? []);
  if (blocked.length > 0) throw new CliError(`${shown} can't take the app: ${[...new Set(blocked)][0]}.`);
  const there = contents.entries.filter(({ path }) => lstatSync(join(folder, path), { throwIfNoEntry: false }));
  if (there.length === 0 || force) return;
  const names = there.slice(0, SHOWN_AT_MOST).map(({ path }) => `\n  ${path}`);
  const more = there.length > SHOWN_AT_MOST ? `\n  … and ${there.length - SHOWN_AT_MOST} more` : "";
  throw new CliError(
    `${shown} already has ${count(there.length, "file")} of this template:\n${names.join("")}${more}`,
    {
      hints: ["Choose another folder, or overwrite them with --force."],
    },
  );
}

/** What even --force does not replace: a folder where a file belongs, a file or link where a folder belongs. */
function blockOf(folder: string, path: string): string | undefined {
  const names = path.split("/");
  for (let depth = 0; depth < names.length; depth++) {
    const above = join(folder, ...names.slice(0, depth));
    const found = depth === 0 ? undefined : lstatSync(above, { throwIfNoEntry: false });
    if (found && !found.isDirectory()) return `${names.slice(0, depth).join("/")} is there and is no folder`;
  }
  return lstatSync(join(folder, path), { throwIfNoEntry: false })?.isDirectory() ? `${path} is a folder` : undefined;
}

export async function writeApp(
  contents: Contents,
  changed: Changed,
  destination: Destination,
  signal: AbortSignal,
): Promise<void> {
  const { folder } = destination;
  const isNew = !existsSync(folder);
  const made = isNew ? mkdirSync(dirname(folder), { recursive: true }) : undefined;
  const stage = await mkdtemp(join(isNew ? dirname(folder) : folder, STAGE));
  let done = false;
  try {
    for (const entry of contents.entries) {
      signal.throwIfAborted();
      await stageEntry(contents.folder, entry, stage, changed.get(entry.path));
    }
    signal.throwIfAborted();
    checkDestination(contents, destination);
    await chmod(stage, 0o777 & ~process.umask());
    if (isNew) renameSync(stage, folder);
    else moveAll(contents, stage, folder);
    done = true;
  } finally {
    rmSync(stage, { recursive: true, force: true });
    if (!done && made !== undefined) rmSync(made, { recursive: true, force: true });
  }
}

async function stageEntry(
  from: string,
  entry: Contents["entries"][number],
  stage: string,
  text: string | undefined,
): Promise<void> {
  const path = join(stage, entry.path);
  await mkdir(dirname(path), { recursive: true });
  if (entry.kind === "symlink") return symlink(entry.target, path);
  if (text === undefined) await copyFile(join(from, entry.path), path, constants.COPYFILE_EXCL);
  else await writeFile(path, text, { flag: "wx" });
  await chmod(path, (entry.executable ? 0o777 : 0o666) & ~process.umask());
}

function moveAll({ entries }: Contents, stage: string, folder: string): void {
  for (const { path } of entries) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    renameSync(join(stage, path), join(folder, path));
  }
}
