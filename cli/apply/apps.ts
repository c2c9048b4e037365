import { existsSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { parseAppsFile } from "#contract/config/apps-file.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { formatMistakes } from "#contract/config/mistakes.ts";
import { count } from "#contract/count.ts";
import { type AppSource, readApp } from "../deploy/app.ts";
import { CliError, usageError } from "../failure.ts";
import { readTextFile } from "../input/text-file.ts";
import type { Surroundings } from "../surroundings.ts";

const APPS_FILE = "colibri.apps.yaml";
const MAXIMUM_INPUT = 1024 * 1024;

export interface NamedApp extends AppSource {
  /** As the user would name it. */
  readonly folder: string;
}

/** A folder that does not hold an app that can be deployed. */
export interface UnreadApp {
  readonly folder: string;
  readonly error: CliError;
}

export interface FoundApps {
  readonly apps: readonly NamedApp[];
  readonly unread: readonly UnreadApp[];
}

interface NamedFolder {
  readonly folder: string;
  /** File and line, where a list names it. */
  readonly at?: string;
}

/** The apps that `-f` names, each once. A folder that can't be read leaves the others alone. */
export async function findApps(surroundings: Surroundings, given: readonly string[]): Promise<FoundApps> {
  const folders = new Map<string, NamedFolder>();
  for (const path of given)
    for (const named of await foldersOf(surroundings, path))
      if (!folders.has(named.folder)) folders.set(named.folder, named);
  const apps: NamedApp[] = [];
  const unread: UnreadApp[] = [];
  for (const { folder, at } of folders.values()) {
    try {
      apps.push({ folder, ...(await readApp(surroundings, folder)) });
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      unread.push({ folder, error: placed(error, at) });
    }
  }
  checkDistinct(apps);
  return { apps, unread };
}

function placed(error: CliError, at: string | undefined): CliError {
  if (at === undefined) return error;
  const { message, exit, hints, code, cause } = error;
  return new CliError(`${at}: ${message}`, { exit, hints, code, cause });
}

/** Folders that hold a colibri.yaml, relative to the working directory. */
async function foldersOf(surroundings: Surroundings, path: string): Promise<NamedFolder[]> {
  const { cwd } = surroundings;
  if (path === "-") return listed(cwd, cwd, await inputText(surroundings), "standard input");
  const found = statSync(resolve(cwd, path), { throwIfNoEntry: false });
  if (found === undefined) throw new CliError(`There is no file or folder ${path}.`);
  if (!found.isDirectory()) return fromFile(cwd, path);
  const [app, apps] = [APP_FILE, APPS_FILE].map((name) => existsSync(resolve(cwd, path, name)));
  if (app && apps) throw usageError(`${path} has both ${APP_FILE} and ${APPS_FILE}: name the one that is meant.`);
  return apps ? fromFile(cwd, join(path, APPS_FILE)) : [{ folder: tidied(cwd, path) }];
}

function fromFile(cwd: string, path: string): NamedFolder[] {
  if (basename(path) === APP_FILE) return [{ folder: tidied(cwd, dirname(path)) }];
  const absolute = resolve(cwd, path);
  return listed(cwd, dirname(absolute), readTextFile(absolute, path), path);
}

function listed(cwd: string, base: string, text: string, name: string): NamedFolder[] {
  const parsed = parseAppsFile(text);
  if (parsed.kind === "mistakes") {
    const title = `${count(parsed.mistakes.length, "mistake")} in ${name}:`;
    throw new CliError(`${title}\n\n${formatMistakes(parsed.mistakes, text, name)}`, { code: "config-invalid" });
  }
  return parsed.apps.map(({ path, line }) => {
    const folder = basename(path) === APP_FILE ? dirname(path) : path;
    return { folder: tidied(cwd, resolve(base, folder)), at: `${name}:${line}` };
  });
}

function tidied(cwd: string, folder: string): string {
  return relative(cwd, resolve(cwd, folder)) || ".";
}

async function inputText({ stdin }: Surroundings): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAXIMUM_INPUT) throw new CliError("Standard input is too long for a list of apps.");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Two folders of one app would each undo what the other did. */
function checkDistinct(apps: readonly NamedApp[]): void {
  const folders = new Map<string, string>();
  for (const { file, folder } of apps) {
    const { app } = file.config;
    const other = folders.get(app);
    if (other !== undefined)
      throw new CliError(`${other} and ${folder} both hold the app ${app}: give one of them another name.`);
    folders.set(app, folder);
  }
}
