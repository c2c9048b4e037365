import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadSystemCalls } from "#base/system-calls.ts";
import { enterOwnMounts } from "./own-mounts.ts";
import { showReadOnly } from "./shared-files.ts";

const root = process.getuid?.() === 0 ? false : "mounts need root";
if (root === false) await enterOwnMounts();

async function prepare(t: TestContext) {
  const calls = await loadSystemCalls();
  const folder = mkdtempSync(join(tmpdir(), "colibri-shown-"));
  // With what an overlay would read as its own.
  const source = join(folder, "a:b,c\\d");
  mkdirSync(source);
  writeFileSync(join(source, "file"), "the host's");
  const targets = ["one", "two", "three"].map((name) => join(folder, name)) as [string, string, string];
  for (const target of targets) mkdirSync(target);
  t.after(() => {
    calls.unmount(join(folder, "target"));
    for (const target of targets) {
      calls.unmount(target);
      rmdirSync(target);
    }
    rmSync(folder, { recursive: true });
  });
  return { source, targets, folder, deps: { calls, workFolder: join(folder, "work") } };
}

test("a folder is shown with files that are others than the host's, and can't be written", {
  skip: root,
}, async (t) => {
  const { source, targets, deps } = await prepare(t);
  const [target] = targets;
  showReadOnly(deps, source, target);
  const [file, hosts] = [join(target, "file"), join(source, "file")];
  assert.equal(readFileSync(file, "utf8"), "the host's");
  assert.notEqual(statSync(file).dev, statSync(hosts).dev);
  assert.throws(() => writeFileSync(file, "x"), { code: "EROFS" });
});

test("a file is shown alone, and nothing stays mounted on the way", { skip: root }, async (t) => {
  const { source, deps, folder } = await prepare(t);
  const target = join(folder, "target");
  writeFileSync(target, "");
  showReadOnly(deps, join(source, "file"), target);
  assert.equal(readFileSync(target, "utf8"), "the host's");
  assert.notEqual(statSync(target).dev, statSync(join(source, "file")).dev);
  assert.throws(() => writeFileSync(target, "x"), { code: "EROFS" });
  assert.deepEqual(readdirSync(join(deps.workFolder, "around")), []);
});

test("where the kernel makes no overlay, it is said of what, and what to do", { skip: root }, async (t) => {
  const { source, targets, deps } = await prepare(t);
  const [one, two, three] = targets;
  showReadOnly(deps, source, one);
  showReadOnly(deps, one, two);
  // Higher the kernel stacks none.
  const expected = /two can't be shown to sandboxes: the kernel refused an overlay.*EINVAL.*module "overlay"/;
  assert.throws(() => showReadOnly(deps, two, three), { code: "unavailable", message: expected });
});
