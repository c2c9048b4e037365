import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { digestStream } from "#platform/builder/archive/digest.ts";
import { packFolder } from "#platform/builder/archive/pack.ts";
import { type FolderEntry, walkFolder } from "#platform/builder/archive/walk.ts";
import { CliError } from "../failure.ts";
import type { AppFile } from "./app-file.ts";

/** A folder of code; several functions may have the same. */
export interface Source {
  /** As colibri.yaml says it. */
  readonly name: string;
  readonly folder: string;
  readonly functions: readonly string[];
  readonly entries: readonly FolderEntry[];
  /** Of all files together. */
  readonly bytes: number;
  /** Left out by ignore rules. */
  readonly ignored: readonly string[];
}

export interface PackedSource {
  readonly source: Source;
  readonly path: string;
  readonly digest: string;
  readonly bytes: number;
}

/** What is to be uploaded, by the ignore rules. */
export async function findSources(folder: string, { config }: AppFile): Promise<Source[]> {
  const byFolder = new Map<string, string[]>();
  for (const [name, { source }] of Object.entries(config.functions))
    byFolder.set(source, [...(byFolder.get(source) ?? []), name]);
  return Promise.all([...byFolder].map(([name, functions]) => findSource(folder, name, functions)));
}

async function findSource(root: string, name: string, functions: readonly string[]): Promise<Source> {
  const folder = join(root, name);
  const walked = await walkFolder(folder);
  const whose = functions.length === 1 ? `Function ${functions[0]}` : `Functions ${functions.join(", ")}`;
  if (walked.kind === "refused")
    throw new CliError(`${whose} can't be packed: in ${name}, ${walked.message}`, { code: "archive-unsafe" });
  if (walked.entries.length === 0)
    throw new CliError(`${whose}: the folder ${name} has no files, or .colibriignore leaves out all of them.`);
  return { name, folder, functions, entries: walked.entries, bytes: walked.bytes, ignored: walked.ignored };
}

/** The source as a tar at `path`: its name is known only when all of it has been read. */
export async function packSource(source: Source, path: string, signal: AbortSignal): Promise<PackedSource> {
  const stream = digestStream(packFolder(source.folder, source.entries));
  const file = await openToWrite(path);
  try {
    for await (const chunk of stream) {
      signal.throwIfAborted();
      await file.writeFile(chunk);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") throw noSpace(path, error);
    throw error;
  } finally {
    await file.close();
  }
  return { source, path, digest: stream.digest(), bytes: stream.bytes() };
}

function openToWrite(path: string): Promise<FileHandle> {
  return open(path, "wx", 0o600);
}

function noSpace(path: string, cause: unknown): CliError {
  return new CliError(`There is no space left to pack the code in ${path}.`, {
    hints: ["Set TMPDIR to a folder with more, or leave files out with .colibriignore."],
    cause,
  });
}
