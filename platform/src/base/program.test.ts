import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findProgram } from "./program.ts";

test("the first of that name that can be run: no folder, no plain file", (t) => {
  const root = mkdtempSync(join(tmpdir(), "colibri-program-"));
  t.after(() => rmSync(root, { recursive: true }));
  const folders = ["none", "folder", "plain", "right", "late"].map((name) => join(root, name));
  for (const folder of folders.slice(1)) mkdirSync(folder);
  mkdirSync(join(root, "folder", "npm"));
  for (const name of ["plain", "right", "late"]) writeFileSync(join(root, name, "npm"), "");
  for (const name of ["right", "late"]) chmodSync(join(root, name, "npm"), 0o755);
  assert.equal(findProgram("npm", `:${folders.join(":")}`), join(root, "right", "npm"));
  assert.equal(findProgram("crun", folders.join(":")), undefined);
});
