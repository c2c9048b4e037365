import { constants } from "node:fs";
import { chmod, link, lstat, mkdir, mkdtemp, open, rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { assertNever } from "#base/assert.ts";
import { type Admission, type Admitted, type ArchiveTotals, createAdmission } from "./admission.ts";
import { decompressed } from "./decompress.ts";
import { ARCHIVE_LIMITS, type ArchiveLimits } from "./limits.ts";
import { orRefused, type Refused } from "./refusal.ts";
import { readTar } from "./tar.ts";

export interface UnpackOptions {
  readonly limits?: ArchiveLimits;
  /** When it aborts, unpacking throws its reason. */
  readonly signal?: AbortSignal;
  /** Who decides what may be written. Only tests give another one, to see that they notice a bad one. */
  readonly admission?: Admission;
}

export type UnpackOutcome = ({ readonly kind: "unpacked" } & ArchiveTotals) | Refused;

const FILE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Unpacks a tar, gzipped or plain, of which nothing is believed, into `folder`, which must not exist yet. All is written into a
 * folder beside it first, which takes its name at the end or is removed: `folder` is whole or not there. Modes become 0644 or
 * 0755, owners and times are not kept. Errors of `source` and of the disk are thrown.
 */
export async function unpackArchive(
  source: AsyncIterable<Uint8Array>,
  folder: string,
  options: UnpackOptions = {},
): Promise<UnpackOutcome> {
  options.signal?.throwIfAborted();
  await requireMissing(folder);
  const aside = await mkdtemp(`${folder}.unpacking-`);
  try {
    return await orRefused(async () => {
      const totals = await fill(aside, source, options);
      await chmod(aside, 0o755);
      await rename(aside, folder);
      return { kind: "unpacked", ...totals } as const;
    });
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function requireMissing(folder: string): Promise<void> {
  const found = await lstat(folder).catch(() => undefined);
  if (found !== undefined) throw new Error(`${folder} exists: an archive is unpacked into a new folder only.`);
}

async function fill(aside: string, source: AsyncIterable<Uint8Array>, options: UnpackOptions): Promise<ArchiveTotals> {
  const { limits = ARCHIVE_LIMITS, signal, admission = createAdmission(limits) } = options;
  for await (const { head, content } of readTar(decompressed(source, limits), limits, signal)) {
    await write(aside, admission.admit(head), content);
    signal?.throwIfAborted();
  }
  return admission.totals();
}

async function write(root: string, entry: Admitted, content: AsyncIterable<Uint8Array>): Promise<void> {
  const path = join(root, entry.path);
  await mkdir(entry.kind === "folder" ? path : dirname(path), { recursive: true, mode: 0o755 });
  switch (entry.kind) {
    case "folder":
      return;
    case "file":
      return writeFile(path, entry.executable ? 0o755 : 0o644, content);
    case "symlink":
      return symlink(entry.target, path);
    case "hardlink":
      return link(join(root, entry.target), path);
    default:
      assertNever(entry, "kind of entry");
  }
}

async function writeFile(path: string, mode: number, content: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, FILE_FLAGS, mode);
  try {
    for await (const chunk of content) await file.appendFile(chunk);
    // The mode given to open is cut by the process's umask.
    await file.chmod(mode);
  } finally {
    await file.close();
  }
}
