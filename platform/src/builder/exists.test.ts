import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { exists } from "./exists.ts";

test("what can't be looked at is not called absent", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "colibri-exists-"));
  const closed = join(folder, "closed");
  t.after(async () => {
    await chmod(closed, 0o700);
    await rm(folder, { recursive: true });
  });
  await mkdir(closed);
  await writeFile(join(folder, "file"), "");
  await writeFile(join(closed, "file"), "");
  await symlink("loop", join(folder, "loop"));
  assert.equal(await exists(join(folder, "file")), true);
  for (const absent of ["other", "file/below", "loop", "x".repeat(300)])
    assert.equal(await exists(join(folder, absent)), false, absent);
  await assert.rejects(exists(join(folder, "a\0b")), { code: "ERR_INVALID_ARG_VALUE" });
  await chmod(closed, 0);
  // To root nothing is closed.
  if (process.getuid?.() === 0) assert.equal(await exists(join(closed, "file")), true);
  else await assert.rejects(exists(join(closed, "file")), { code: "EACCES" });
});
