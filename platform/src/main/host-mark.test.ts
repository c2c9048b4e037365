import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { homeKey } from "./home.ts";
import { holdKey, markedKeys, markHost, ownerOf } from "./host-mark.ts";

const HOME = "/srv/home";
const KEY = homeKey(HOME);
const MODULE = new URL("./host-mark.ts", import.meta.url).href;

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-mark-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** By a process that ends without taking it away. */
function markAndDie(folder: string): void {
  const code = `(await import("${MODULE}")).markHost(${JSON.stringify(HOME)}, ${JSON.stringify(folder)});`;
  execFileSync(process.execPath, ["--input-type=module", "-e", `${code} process.exit(0);`]);
}

test("whoever has marked the host lives, and nobody else takes what is its", (t) => {
  const folder = folderOf(t);
  assert.deepEqual(ownerOf(KEY, folder), { kind: "unknown" });
  const unmark = markHost(HOME, folder);
  assert.deepEqual(ownerOf(KEY, folder), { kind: "lives" });
  assert.equal(holdKey(KEY, folder), undefined);
  assert.throws(() => markHost(HOME, folder), { code: "conflict", message: /\/srv\/home .* process \d+/ });
  assert.deepEqual(markedKeys(folder), [KEY]);
  unmark();
  assert.deepEqual(readdirSync(folder), []);
});

test("who ended without a word is dead, its home is known, and it can start again but while it is cleaned up after", (t) => {
  const folder = folderOf(t);
  markAndDie(folder);
  assert.deepEqual(ownerOf(KEY, folder), { kind: "dead", home: HOME });
  const release = holdKey(KEY, folder)!;
  assert.throws(() => markHost(HOME, folder), { code: "conflict" });
  release(false);
  assert.deepEqual(markedKeys(folder), [KEY]);
  markHost(HOME, folder)();
  markAndDie(folder);
  holdKey(KEY, folder)!(true);
  assert.deepEqual(readdirSync(folder), []);
});

test("a process that can't be seen from here is not taken for dead", (t) => {
  const folder = folderOf(t);
  markAndDie(folder);
  const path = join(folder, `${KEY}.json`);
  writeFileSync(path, readFileSync(path, "utf8").replace(/pid:\[\d+\]/, "pid:[1]"));
  assert.deepEqual(ownerOf(KEY, folder), { kind: "unknown" });
});
