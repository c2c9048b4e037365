import { constants, type Dirent, type Stats } from "node:fs";
import { open, readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { APP_FILES, createIgnoreRules, DEFAULT_IGNORES, IGNORE_FILE, type IgnoreRules } from "./ignore.ts";
import { ARCHIVE_LIMITS, type ArchiveLimits } from "./limits.ts";
import { pathOf, targetOf } from "./paths.ts";
import { orRefused, type Refused, refuse } from "./refusal.ts";

export interface WalkOptions {
  /** `sources` leaves out the app's own files and what the defaults and ignore files say, `made` what the defaults say; `nothing` takes all, as for a finished bundle. */
  readonly ignoring?: "sources" | "made" | "nothing";
  readonly limits?: ArchiveLimits;
}

/** Folders have no entry of their own: as in git, one without files is not there. */
export type FolderEntry =
  | { readonly kind: "file"; readonly path: string; readonly bytes: number; readonly executable: boolean }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string };

export interface Walked {
  readonly kind: "walked";
  /** Sorted by path. */
  readonly entries: readonly FolderEntry[];
  readonly bytes: number;
  /** What ignore rules left out, folders with a slash at the end; of very many the first. */
  readonly ignored: readonly string[];
}

const MAXIMUM_IGNORED = 1_000;

/** What of `folder` goes into an archive. Refuses what an archive may not hold, so that the user learns it before the upload. */
export function walkFolder(folder: string, options: WalkOptions = {}): Promise<Walked | Refused> {
  return orRefused(() => new Walk(folder, options).run());
}

class Walk {
  readonly #root: string;
  readonly #limits: ArchiveLimits;
  readonly #rules: IgnoreRules | undefined;
  readonly #readsIgnoreFiles: boolean;
  readonly #entries: FolderEntry[] = [];
  readonly #ignored: string[] = [];
  #bytes = 0;

  constructor(root: string, options: WalkOptions) {
    this.#root = root;
    this.#limits = options.limits ?? ARCHIVE_LIMITS;
    this.#readsIgnoreFiles = (options.ignoring ?? "sources") === "sources";
    const rules = this.#readsIgnoreFiles ? [...DEFAULT_IGNORES, ...APP_FILES] : DEFAULT_IGNORES;
    this.#rules = options.ignoring === "nothing" ? undefined : createIgnoreRules(rules);
  }

  async run(): Promise<Walked> {
    await this.#walk("");
    this.#entries.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { kind: "walked", entries: this.#entries, bytes: this.#bytes, ignored: this.#ignored.sort() };
  }

  async #walk(folder: string): Promise<void> {
    const found = await readable(folder || this.#root, () =>
      readdir(join(this.#root, folder), { withFileTypes: true }),
    );
    if (this.#rules && this.#readsIgnoreFiles && found.some((entry) => entry.name === IGNORE_FILE && entry.isFile())) {
      const path = join(folder, IGNORE_FILE);
      this.#rules.add(folder, await readable(path, () => readFile(join(this.#root, path), "utf8")));
    }
    for (const entry of found) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const isFolder = entry.isDirectory();
      if (!this.#rules?.ignores(path, isFolder)) await this.#take(path, entry);
      else if (this.#ignored.length < MAXIMUM_IGNORED) this.#ignored.push(isFolder ? `${path}/` : path);
    }
  }

  async #take(path: string, entry: Dirent): Promise<void> {
    pathOf(path, this.#limits);
    if (entry.isDirectory()) return this.#walk(path);
    if (entry.isFile()) return this.#takeFile(path);
    if (entry.isSymbolicLink()) return this.#takeLink(path);
    const type = entry.isSocket() ? "a socket" : entry.isFIFO() ? "a fifo" : "a device";
    refuse(path, "special-file", `it is ${type}; remove it or name it in ${IGNORE_FILE}`);
  }

  async #takeFile(path: string): Promise<void> {
    const { size: bytes, mode } = await readable(path, () => statOpened(join(this.#root, path)));
    const { maximumBytes, maximumFileBytes } = this.#limits;
    if (bytes > maximumFileBytes)
      refuse(path, "file-too-large", `it has ${bytes} bytes, allowed are ${maximumFileBytes}`);
    this.#bytes += bytes;
    if (this.#bytes > maximumBytes) refuse(path, "too-many-bytes", `with it all files exceed ${maximumBytes} bytes`);
    this.#add({ kind: "file", path, bytes, executable: (mode & 0o100) !== 0 });
  }

  async #takeLink(path: string): Promise<void> {
    const target = await readable(path, () => readlink(join(this.#root, path)));
    this.#add({ kind: "symlink", path, target: targetOf(path, target, this.#limits) });
  }

  #add(entry: FolderEntry): void {
    this.#entries.push(entry);
    const { maximumEntries } = this.#limits;
    if (this.#entries.length > maximumEntries)
      refuse(entry.path, "too-many-entries", `there are more than ${maximumEntries} files`);
  }
}

/** Opened, because only that tells whether it can be read. */
async function statOpened(path: string): Promise<Stats> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return await file.stat();
  } finally {
    await file.close();
  }
}

async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse(path, "unreadable", `it can't be read (${why})`);
  }
}
