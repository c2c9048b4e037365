import assert from "node:assert/strict";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { storageTrouble } from "./storage-trouble.ts";

const SOMEBODY = 65_534;

test("what the disk refuses is told with its path; what is something else is not told here", () => {
  const of = (error: object, path?: string) => storageTrouble(Object.assign(new Error("x"), error), path);
  assert.match(of({ code: "ENOSPC", path: "/a/b" }) ?? "", /^\/a\/b can't be used: its disk is full/);
  assert.match(of({ code: "EDQUOT" }, "/a/b") ?? "", /^\/a\/b can't be used: the quota/);
  assert.match(of({ code: "EROFS", address: "/a.sock" }) ?? "", /^\/a\.sock can't be used: .*read-only/);
  assert.equal(of({ code: "EACCES", address: "127.0.0.1" }), undefined);
  assert.equal(of({ code: "ENOSPC" }), undefined);
  assert.equal(of({ code: "ENOENT", path: "/a/b" }), undefined);
});

test("who may not use a file is told whose it is, or whose the folder is that hides it", (t) => {
  if (process.getuid?.() !== 0) return t.skip("needs root, to give files away");
  const folder = mkdtempSync(join(tmpdir(), "colibri-storage-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "file");
  writeFileSync(file, "");
  const message = () => storageTrouble(Object.assign(new Error("x"), { code: "EACCES", path: file })) ?? "";
  chownSync(file, SOMEBODY, SOMEBODY);
  assert.match(message(), /file can't be used: it belongs to user 65534 and this is user 0 \(EACCES\)/);
  rmSync(file);
  chownSync(folder, SOMEBODY, SOMEBODY);
  assert.ok(message().includes(`${folder} belongs to user 65534 and this is user 0`), message());
});
