import assert from "node:assert/strict";
import { chmod, mkdir, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { inTemporaryFolder } from "./archive/archive.fixture.ts";
import { createInstalledCache, type InstalledCache } from "./installed-cache.ts";

const clock = createSystemClock();
const cache: InstalledCache = createInstalledCache(
  { clock, ids: createIds(clock, createSystemRandom()), log: createSilentLog() },
  { maximumBytes: 1_000_000 },
);

async function kept(root: string): Promise<void> {
  const folder = join(root, "made");
  await mkdir(join(folder, "a/bin"), { recursive: true });
  await writeFile(join(folder, "a/index.js"), "one");
  await writeFile(join(folder, "a/bin/run"), "two", { mode: 0o755 });
  await symlink("a/bin/run", join(folder, "run"));
  await cache.keep(root, "key", folder);
  await rm(folder, { recursive: true });
}

test("what was kept is given, as often as it is asked for", () =>
  inTemporaryFolder(async (root) => {
    await kept(root);
    for (const name of ["first", "second"]) {
      assert.equal(await cache.take(root, "key", join(root, name)), true);
      assert.equal(await readFile(join(root, name, "run"), "utf8"), "two");
    }
    assert.equal(await cache.take(root, "other", join(root, "third")), false);
  }));

test("what is not what was kept is not given, not left, and can be kept anew", () =>
  inTemporaryFolder(async (root) => {
    const tree = join(root, "installed/key/tree");
    const harms: [string, () => Promise<unknown>][] = [
      ["a file that was written into", () => writeFile(join(tree, "a/index.js"), "two")],
      ["a file that was cut", () => truncate(join(tree, "a/index.js"), 0)],
      ["a file that is gone", () => rm(join(tree, "a/index.js"))],
      ["a file more", () => writeFile(join(tree, "a/evil.js"), "")],
      ["a file that became a program", () => chmod(join(tree, "a/index.js"), 0o755)],
      ["a link elsewhere", () => rm(join(tree, "run")).then(() => symlink("/etc/passwd", join(tree, "run")))],
      ["no digest", () => rm(join(root, "installed/key/digest"))],
      ["no files", () => rm(tree, { recursive: true })],
    ];
    for (const [what, harm] of harms) {
      await kept(root);
      await harm();
      assert.equal(await cache.take(root, "key", join(root, "taken")), false, what);
      assert.deepEqual((await readdir(root)).sort(), ["installed"], what);
      assert.deepEqual(await readdir(join(root, "installed")), [], what);
    }
  }));
