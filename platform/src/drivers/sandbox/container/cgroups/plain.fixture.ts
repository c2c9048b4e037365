import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";

/** A folder of plain files in place of the kernel's, for what this machine's kernel does not have. */
export interface PlainFolder {
  readonly root: string;
  read(file: string): string;
  write(file: string, text: string): void;
}

export function plainFolder(t: TestContext, files: Readonly<Record<string, string>>): PlainFolder {
  const root = mkdtempSync(join(tmpdir(), "colibri-cgroups-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  };
  for (const [file, text] of Object.entries(files)) write(file, text);
  return { root, write, read: (file) => readFileSync(join(root, file), "utf8") };
}
