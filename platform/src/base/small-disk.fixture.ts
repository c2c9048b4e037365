/** A disk that is soon full, for tests: a small file system in memory, which only root may mount. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** Mounted until the test ends. A reason when that can't be. `files`: as many files and folders as there is room for. */
export function mountSmallDisk(t: TestContext, kib: number, files?: number): { readonly folder: string } | string {
  const size = `size=${kib}k${files === undefined ? "" : `,nr_inodes=${files}`}`;
  const folder = mkdtempSync(join(tmpdir(), "colibri-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", size, "tmpfs", folder], { stdio: "ignore" });
  } catch {
    rmdirSync(folder);
    return "needs the right to mount";
  }
  t.after(() => {
    // Lazily: a test that failed may have left a file open.
    execFileSync("umount", ["--lazy", folder]);
    rmdirSync(folder);
  });
  return { folder };
}

/** Until there is no room left. */
export function fill(path: string): void {
  const file = openSync(path, "w");
  try {
    for (;;) writeSync(file, Buffer.alloc(4_096));
  } catch {
    closeSync(file);
  }
}

/** With files that hold nothing, until there is no room for another. */
export function fillWithFiles(folder: string): void {
  mkdirSync(folder);
  try {
    for (let number = 0; ; number++) closeSync(openSync(join(folder, String(number)), "wx"));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
  }
}
