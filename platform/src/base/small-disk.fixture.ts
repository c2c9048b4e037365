/** A disk that is soon full, for tests: a small file system in memory, which only root may mount. */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** Mounted until the test ends. A reason when that can't be. */
export function mountSmallDisk(t: TestContext, kib: number): { readonly folder: string } | string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${kib}k`, "tmpfs", folder], { stdio: "ignore" });
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
