/**
 * Owns: folders of installed packages, kept between builds under a key that says all they depend on. Does not own: what installs.
 *
 * 1. A kept folder is whole or not there: it gets its name by a rename, and what is not what was kept, byte by byte, is removed
 *    instead of given: a power cut, or somebody who wrote into a file that he had by a hard link.
 * 2. Files are shared by hard links, so whoever takes a folder may add and remove files but not write into one.
 * 3. A cache that fails is a cache that has nothing: the build goes on without it.
 */
import { createHash, type Hash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import {
  copyFile,
  link,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import type { Log } from "#base/log.ts";

export interface InstalledCache {
  /** Puts what is kept under `key` at `folder`; false when there is nothing. */
  take(root: string, key: string, folder: string): Promise<boolean>;
  /** Keeps `folder`, which stays as it is. */
  keep(root: string, key: string, folder: string): Promise<void>;
}

export interface InstalledCacheOptions {
  /** What the cache of one tenant may hold; the least recently taken goes first. */
  readonly maximumBytes: number;
}

const DIGEST = "digest";
const SMALL_BYTES = 1024 ** 2;

export function createInstalledCache(
  deps: { clock: Clock; ids: Ids; log: Log },
  options: InstalledCacheOptions,
): InstalledCache {
  const without = (what: string) => (error: unknown) => {
    deps.log.warn(`the cache of installed packages could not ${what}`, { error });
    return false;
  };
  return {
    async take(root, key, folder) {
      const entry = join(root, "installed", key);
      const now = new Date(deps.clock.now());
      const isThere = await utimes(entry, now, now).then(
        () => true,
        () => false,
      );
      if (!isThere) return false;
      try {
        // What the source has under this name may be a link: it is replaced, as npm does.
        await rm(folder, { recursive: true, force: true });
        const { digest } = await linkTree(join(entry, "tree"), folder);
        if (digest === (await readFile(join(entry, DIGEST), "utf8"))) return true;
        throw new Error(`${key} is not what was kept`);
      } catch (error) {
        await rm(folder, { recursive: true, force: true });
        await rm(entry, { recursive: true, force: true });
        return without("give")(error);
      }
    },
    async keep(root, key, folder) {
      const aside = join(root, "installed", `${deps.ids.next()}.aside`);
      try {
        await mkdir(aside, { recursive: true });
        const { bytes, digest } = await linkTree(folder, join(aside, "tree"));
        await writeFile(join(aside, `${bytes}.bytes`), "");
        await writeFile(join(aside, DIGEST), digest);
        const entry = join(root, "installed", key);
        await rm(entry, { recursive: true, force: true });
        await rename(aside, entry);
        await shrink(join(root, "installed"), options.maximumBytes, deps.ids);
      } catch (error) {
        await rm(aside, { recursive: true, force: true });
        without("keep")(error);
      }
    },
  };
}

/** Removes what a crash has left behind. */
export async function sweepInstalledCache(root: string): Promise<void> {
  const folder = join(root, "installed");
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (name.endsWith(".aside")) await rm(join(folder, name), { recursive: true, force: true });
}

interface Tree {
  readonly bytes: number;
  /** Of names, kinds and contents. */
  readonly digest: string;
}

/** Another folder with the same files. */
async function linkTree(from: string, to: string): Promise<Tree> {
  const hash = createHash("sha256");
  const bytes = await linkFolder(from, to, hash);
  return { bytes, digest: hash.digest("hex") };
}

async function linkFolder(from: string, to: string, hash: Hash): Promise<number> {
  await mkdir(to, { recursive: true });
  let bytes = 0;
  const entries = await readdir(from, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    const tell = (kind: string, content: string | number) => hash.update(JSON.stringify([kind, entry.name, content]));
    if (entry.isDirectory()) {
      tell("folder", "");
      bytes += await linkFolder(source, target, hash);
      tell("end", "");
    } else if (entry.isSymbolicLink()) {
      const leadsTo = await readlink(source);
      await symlink(leadsTo, target);
      tell("link", leadsTo);
    } else if (entry.isFile()) {
      const content = await linkFile(source, target);
      tell(content.isExecutable ? "program" : "file", content.bytes);
      await addContent(target, content.bytes, hash);
      bytes += content.bytes;
    }
  }
  return bytes;
}

async function addContent(path: string, bytes: number, hash: Hash): Promise<void> {
  // Most files are small, and a stream for each takes longer than its bytes.
  if (bytes <= SMALL_BYTES) hash.update(await readFile(path));
  else for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
}

async function linkFile(source: string, target: string): Promise<{ bytes: number; isExecutable: boolean }> {
  try {
    await link(source, target);
  } catch (error) {
    // A file can have only so many names.
    if ((error as NodeJS.ErrnoException).code !== "EMLINK") throw error;
    await copyFile(source, target, constants.COPYFILE_EXCL);
  }
  const { size, mode } = await stat(target);
  return { bytes: size, isExecutable: (mode & 0o100) !== 0 };
}

async function shrink(folder: string, maximumBytes: number, ids: Ids): Promise<void> {
  const names = (await readdir(folder)).filter((name) => !name.endsWith(".aside"));
  const entries = await Promise.all(names.map(async (name) => ({ name, ...(await measure(join(folder, name))) })));
  let left = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  for (const entry of entries.sort((a, b) => a.takenAtMs - b.takenAtMs)) {
    if (left <= maximumBytes) return;
    // Renamed first: whoever takes it meanwhile finds nothing rather than a part.
    const aside = join(folder, `${ids.next()}.aside`);
    await rename(join(folder, entry.name), aside);
    await rm(aside, { recursive: true, force: true });
    left -= entry.bytes;
  }
}

async function measure(entry: string): Promise<{ bytes: number; takenAtMs: number }> {
  const bytes = (await readdir(entry)).map((name) => /^(\d+)\.bytes$/.exec(name)?.[1]).find(Boolean);
  return { bytes: Number(bytes ?? 0), takenAtMs: (await stat(entry)).mtimeMs };
}
