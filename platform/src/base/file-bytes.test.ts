import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSystemClock, sleep } from "./clock.ts";
import { fileBytes } from "./file-bytes.ts";

test("a file is opened when it is read, and what nobody reads fails nowhere", async () => {
  const folder = mkdtempSync(join(tmpdir(), "colibri-bytes-"));
  try {
    const path = join(folder, "file");
    const bytes = Buffer.alloc(200_000, "x");
    writeFileSync(path, bytes);
    const unread = fileBytes(path);
    assert.ok(Buffer.concat(await Array.fromAsync(fileBytes(path))).equals(bytes));
    rmSync(path);
    // An open stream would fail by now, and this test with it.
    await sleep(createSystemClock(), 50);
    await assert.rejects(unread.next(), { code: "ENOENT" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
