import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { APP_FILE } from "#contract/config/keys.ts";
import type { FolderEntry } from "#platform/builder/archive/walk.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { LANGUAGE_NAMES, readCatalogue, type Template } from "../init/catalogue.ts";
import { type Contents, readContents } from "../init/contents.ts";
import { fetchTemplate } from "../init/git.ts";
import { Keys } from "../init/keys.ts";
import { renameApp, renameInReadme } from "../init/rename.ts";
import { describeCreated, renderCreated } from "../init/summary.ts";
import { chooseTemplate, type InitOptions, type Picked, placeFor, type Wish } from "../init/wish.ts";
import { checkDestination, type Destination, writeApp } from "../init/write.ts";
import { createStyle } from "../output/style.ts";
import { renderTable } from "../output/table.ts";
import type { Surroundings } from "../surroundings.ts";
import { linkSchema, SCHEMA_FILE, schemaText } from "./schema.ts";

const README = "README.md";

export async function init(
  surroundings: Surroundings,
  folder: string | undefined,
  options: InitOptions,
): Promise<ExitCode> {
  if (options.list) return list(surroundings, options.json === true);
  const catalogue = readCatalogue();
  const asks = surroundings.stdin.isTTY === true && surroundings.stderr.isTTY === true && !options.yes && !options.json;
  const keys = asks ? new Keys(surroundings.stdin) : undefined;
  const style = createStyle(surroundings.stderr, surroundings.env);
  keys?.open();
  try {
    const asking = keys && { keys, output: surroundings.stderr, style };
    const wish: Wish = { catalogue, asking, options, folder, cwd: surroundings.cwd };
    const picked = await chooseTemplate(wish);
    const place = await placeFor(wish, picked);
    keys?.close();
    return await create(surroundings, picked, { ...place, force: options.force === true }, options);
  } finally {
    keys?.close();
  }
}

function list(surroundings: Surroundings, json: boolean): ExitCode {
  const catalogue = readCatalogue();
  surroundings.stdout.write(
    json ? `${JSON.stringify(catalogue.map(describe), null, 2)}\n` : renderList(surroundings, catalogue),
  );
  return EXIT.ok;
}

function describe({ name, title, variants }: Template): object {
  return { template: name, title, languages: variants.map(({ language }) => language) };
}

function renderList(surroundings: Surroundings, catalogue: readonly Template[]): string {
  const rows = catalogue.map(({ name, title, variants }) => {
    const languages = variants.map(({ language }) => LANGUAGE_NAMES[language]);
    return [name, languages.join(", "), title];
  });
  return renderTable(["TEMPLATE", "LANGUAGES", "WHAT IT IS"], rows, createStyle(surroundings.stdout, surroundings.env));
}

async function create(
  surroundings: Surroundings,
  picked: Picked,
  destination: Destination & { readonly name: string },
  options: InitOptions,
): Promise<ExitCode> {
  const signal = surroundings.interruption();
  await withFolderOf(surroundings, picked, signal, async (folder) => {
    const read = await readContents(folder, picked.shown);
    const contents = picked.variant === undefined ? read : withSchema(read);
    checkDestination(contents, destination);
    const changed = await changedFiles(contents, destination.name);
    if (contents !== read) changed.set(SCHEMA_FILE, schemaText());
    await writeApp(contents, changed, destination, signal);
    const created = { contents, picked, ...destination };
    const style = createStyle(surroundings.stdout, surroundings.env);
    surroundings.stdout.write(
      options.json
        ? `${JSON.stringify(describeCreated(created), null, 2)}\n`
        : renderCreated(created, style, surroundings),
    );
  });
  return EXIT.ok;
}

/** Of a Git repository, a clone that is gone afterwards. */
async function withFolderOf(
  surroundings: Surroundings,
  { origin }: Picked,
  signal: AbortSignal,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  if (origin.kind === "folder") return use(origin.folder);
  const clones = await mkdtemp(join(tmpdir(), "colibri-init-"));
  try {
    await use(await fetchTemplate(surroundings, origin, join(clones, "template"), signal));
  } finally {
    await rm(clones, { recursive: true, force: true });
  }
}

/** Ours come with what editors need; others are copied as they are. */
function withSchema(contents: Contents): Contents {
  const schema: FolderEntry = { path: SCHEMA_FILE, kind: "file", bytes: 0, executable: false };
  const entries = [...contents.entries, schema].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { ...contents, entries, configText: linkSchema(contents.configText) };
}

async function changedFiles(
  { folder, entries, configText, config }: Contents,
  name: string,
): Promise<Map<string, string>> {
  const changed = new Map([[APP_FILE, renameApp(configText, config, name)]]);
  if (entries.some(({ path, kind }) => path === README && kind === "file"))
    changed.set(README, renameInReadme(await readFile(join(folder, README), "utf8"), config, name));
  return changed;
}
