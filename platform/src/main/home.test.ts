import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { readStat } from "#base/process-group.ts";
import { createSystemRandom } from "#base/random.ts";
import { homePaths, lockHome, nextEpoch, prepareHome, readOrCreateToken } from "./home.ts";

function makeHome(t: TestContext) {
  const home = mkdtempSync(join(tmpdir(), "colibri-home-"));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const paths = homePaths(home);
  prepareHome(paths);
  return paths;
}

test("one holder at a time, named to the next; nothing but the lock is left, and in the end not that", (t) => {
  const paths = makeHome(t);
  const before = readdirSync(paths.home);
  const unlock = lockHome(paths);
  assert.equal(readFileSync(paths.lock, "utf8"), `${process.pid} ${readStat(process.pid)!.startTime}`);
  assert.throws(() => lockHome(paths), new RegExp(`already runs on .* \\(process ${process.pid}\\)`));
  assert.deepEqual(readdirSync(paths.home).sort(), [...before, "platform.lock"].sort());
  unlock();
  assert.equal(existsSync(paths.lock), false);
  lockHome(paths)();
});

test("a lock whose process is gone, or is another one by now, is taken over", (t) => {
  const paths = makeHome(t);
  for (const abandoned of [`${process.pid} 1`, "999999999 5", "", "nonsense"]) {
    writeFileSync(paths.lock, abandoned);
    const unlock = lockHome(paths);
    assert.match(readFileSync(paths.lock, "utf8"), new RegExp(`^${process.pid} `));
    unlock();
  }
});

test("the token is made once; epochs only rise", (t) => {
  const paths = makeHome(t);
  const token = readOrCreateToken(paths, createSystemRandom());
  assert.match(token, /^colibri_[\w-]{32}$/);
  assert.equal(readOrCreateToken(paths, createSystemRandom()), token);
  assert.deepEqual([nextEpoch(paths), nextEpoch(paths)], [1, 2]);
});
