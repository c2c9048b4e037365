import type { FolderEntry } from "#platform/builder/archive/walk.ts";

/** A file of a bundle, or all files of one package. */
export interface Shipped {
  /** A path, or a package's folder such as `node_modules/sharp`. */
  readonly name: string;
  readonly bytes: number;
  readonly files: number;
  readonly isPackage: boolean;
}

const PACKAGE = /^(?:node_modules\/(?:@[^/]+\/)?[^/]+|_packages\/[^/]+)(?=\/)/;

/** Packages as one, largest first. */
export function groupShipped(entries: readonly FolderEntry[]): Shipped[] {
  const groups = new Map<string, Shipped>();
  for (const entry of entries) {
    const isPackage = PACKAGE.test(entry.path);
    const name = PACKAGE.exec(entry.path)?.[0] ?? entry.path;
    const before = groups.get(name) ?? { name, bytes: 0, files: 0, isPackage };
    const bytes = before.bytes + (entry.kind === "file" ? entry.bytes : 0);
    groups.set(name, { ...before, bytes, files: before.files + 1 });
  }
  return [...groups.values()].sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
}
