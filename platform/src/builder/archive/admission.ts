import type { ArchiveLimits } from "./limits.ts";
import { pathOf, targetOf } from "./paths.ts";
import { refuse } from "./refusal.ts";

/**
 * Decides what of an archive may be written, before anything of it is.
 * Owns the tree as the archive has described it so far; knows no file system.
 * Invariants:
 * 1. Every path is relative, has no `..` and is given once.
 * 2. Whatever stands above an entry is a folder, never a link or a file: so a path leads where it says.
 * 3. Every symbolic link leads to something inside, also through other links (see `targetOf`); a hard link to an earlier file.
 * 4. Entries and bytes are within the limits, a hard link counted as a copy of its file.
 */
export interface Admission {
  /** Throws a `Refusal`. */
  admit(entry: EntryHead): Admitted;
  totals(): ArchiveTotals;
}

/** What the archive says of an entry; nothing of it is believed. */
export interface EntryHead {
  readonly name: string;
  readonly type: string | null;
  readonly size: number;
  readonly mode: number;
  readonly linkname: string | null;
  readonly pax: Readonly<Record<string, string>> | null;
}

export type Admitted =
  | { readonly kind: "file"; readonly path: string; readonly executable: boolean }
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | { readonly kind: "hardlink"; readonly path: string; readonly target: string };

export interface ArchiveTotals {
  readonly files: number;
  readonly bytes: number;
}

type TreeNode = { kind: "file"; bytes: number } | { kind: "symlink" } | { kind: "folder"; implied: boolean };

export function createAdmission(limits: ArchiveLimits): Admission {
  return new Admitter(limits);
}

class Admitter implements Admission {
  readonly #limits: ArchiveLimits;
  readonly #tree = new Map<string, TreeNode>([["", { kind: "folder", implied: true }]]);
  #files = 0;
  #bytes = 0;

  constructor(limits: ArchiveLimits) {
    this.#limits = limits;
  }

  totals(): ArchiveTotals {
    return { files: this.#files, bytes: this.#bytes };
  }

  admit(entry: EntryHead): Admitted {
    const path = pathOf(entry.name, this.#limits);
    if (Object.keys(entry.pax ?? {}).some((key) => key.startsWith("GNU.sparse."))) {
      refuse(path, "unknown-type", "it is a sparse file; archive it without --sparse");
    }
    switch (entry.type) {
      case "file":
        return this.#admitFile(path, entry);
      case "directory":
        return this.#admitFolder(path, entry);
      case "symlink":
        return this.#admitSymlink(path, entry);
      case "link":
        return this.#admitHardlink(path, entry);
      case "character-device":
      case "block-device":
      case "fifo":
        return refuse(path, "special-file", `it is a ${entry.type}; only files, folders and links are allowed`);
      default:
        return refuse(path, "unknown-type", "its type is unknown; only files, folders and links are allowed");
    }
  }

  #admitFile(path: string, entry: EntryHead): Admitted {
    if (entry.name.endsWith("/")) refuse(path, "bad-name", "it is a file and its name ends in a slash");
    this.#addFile(path, entry.size);
    return { kind: "file", path, executable: (entry.mode & 0o100) !== 0 };
  }

  #admitFolder(path: string, entry: EntryHead): Admitted {
    requireNoContent(path, entry);
    const known = this.#tree.get(path);
    if (known?.kind === "folder" && known.implied) known.implied = false;
    else this.#add(path, { kind: "folder", implied: false });
    return { kind: "folder", path };
  }

  #admitSymlink(path: string, entry: EntryHead): Admitted {
    requireNoContent(path, entry);
    const target = targetOf(path, entry.linkname ?? "", this.#limits);
    this.#add(path, { kind: "symlink" });
    return { kind: "symlink", path, target };
  }

  #admitHardlink(path: string, entry: EntryHead): Admitted {
    requireNoContent(path, entry);
    const to = entry.linkname ?? "";
    const target = pathOf(to, this.#limits);
    const linked = this.#tree.get(target);
    if (linked?.kind !== "file") {
      return refuse(
        path,
        "bad-link",
        `it is a hard link to ${JSON.stringify(to)}, which is no earlier file of this archive`,
      );
    }
    this.#addFile(path, linked.bytes);
    return { kind: "hardlink", path, target };
  }

  #addFile(path: string, bytes: number): void {
    const { maximumFileBytes, maximumBytes } = this.#limits;
    if (bytes > maximumFileBytes)
      refuse(path, "file-too-large", `it has ${bytes} bytes, allowed are ${maximumFileBytes}`);
    this.#bytes += bytes;
    if (this.#bytes > maximumBytes) refuse(path, "too-many-bytes", `with it all files exceed ${maximumBytes} bytes`);
    this.#add(path, { kind: "file", bytes });
    this.#files += 1;
  }

  #add(path: string, node: TreeNode): void {
    if (path === "") refuse(path, "bad-name", 'its name is empty or ".", which only a folder can have');
    if (this.#tree.has(path)) refuse(path, "duplicate", "the archive has an entry of that path already");
    this.#implyFoldersAbove(path);
    this.#set(path, node);
  }

  #implyFoldersAbove(path: string): void {
    for (let slash = path.indexOf("/"); slash !== -1; slash = path.indexOf("/", slash + 1)) {
      const above = path.slice(0, slash);
      const kind = this.#tree.get(above)?.kind;
      if (kind === undefined) this.#set(above, { kind: "folder", implied: true });
      else if (kind !== "folder")
        refuse(path, "not-a-folder", `it lies below ${JSON.stringify(above)}, which is a ${kind}`);
    }
  }

  #set(path: string, node: TreeNode): void {
    this.#tree.set(path, node);
    const { maximumEntries } = this.#limits;
    if (this.#tree.size - 1 > maximumEntries)
      refuse(path, "too-many-entries", `there are more than ${maximumEntries} entries`);
  }
}

function requireNoContent(path: string, entry: EntryHead): void {
  if (entry.size !== 0) refuse(path, "malformed", `it is a ${entry.type} and has content`);
}
