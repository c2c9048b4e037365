import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { fill, mountSmallDisk } from "#base/small-disk.fixture.ts";
import {
  ensureWritten,
  homePaths,
  nextEpoch,
  prepareHome,
  readOrCreateToken,
  shutToken,
  writeDurably,
} from "./home.ts";

function home(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-home-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const paths = homePaths(join(folder, "deep", "home"));
  prepareHome(paths);
  return paths;
}

const modeOf = (path: string) => statSync(path).mode & 0o777;

test("a home is made for its owner alone", (t) => {
  const paths = home(t);
  assert.equal(modeOf(paths.home), 0o700);
  assert.equal(modeOf(join(paths.home, "run")), 0o700);
  prepareHome(paths);
});

test("a home that can't be written says so, with what to set", (t) => {
  const paths = home(t);
  writeFileSync(join(paths.home, "file"), "");
  assert.throws(() => prepareHome(homePaths(join(paths.home, "file"))), {
    code: "store-unavailable",
    message: /file can't be written \(E[A-Z]+\): choose another with COLIBRI_HOME$/,
  });
});

test("the token is made once, for its owner alone", (t) => {
  const paths = home(t);
  const token = readOrCreateToken(paths, createSeededRandom(1));
  assert.match(token, /^colibri_[\w-]{32}$/);
  assert.equal(modeOf(paths.token), 0o600);
  assert.equal(readOrCreateToken(paths, createSeededRandom(2)), token);
  assert.equal(readFileSync(paths.token, "utf8").trim(), token);
});

test("a token of one's own is kept, and one that is too short is refused, not replaced", (t) => {
  const paths = home(t);
  writeFileSync(paths.token, `${"own".repeat(11)}\n`);
  assert.equal(readOrCreateToken(paths, createSeededRandom(1)), "own".repeat(11));
  writeFileSync(paths.token, "secret\n");
  assert.throws(() => readOrCreateToken(paths, createSeededRandom(1)), { message: /has 6 characters, it takes 32/ });
  assert.equal(readFileSync(paths.token, "utf8"), "secret\n");
});

test("the epoch grows at every start, and never starts anew from a damaged file", (t) => {
  const paths = home(t);
  assert.deepEqual([nextEpoch(paths), nextEpoch(paths), nextEpoch(paths)], [1, 2, 3]);
  writeFileSync(paths.gateway.epoch, "4x");
  assert.throws(() => nextEpoch(paths), { code: "store-unavailable", message: /holds "4x", not the number/ });
});

test("a token that others could read is shut, and that is told once", (t) => {
  const paths = home(t);
  readOrCreateToken(paths, createSeededRandom(1));
  assert.equal(shutToken(paths), undefined);
  chmodSync(paths.token, 0o644);
  assert.match(shutToken(paths) ?? "", /token could be used by others on this machine \(mode 644\)/);
  assert.equal(modeOf(paths.token), 0o600);
  assert.equal(shutToken(paths), undefined);
});

test("on a full disk the epoch grows on, what is written already needs nothing, and the rest names its path", (t) => {
  const disk = mountSmallDisk(t, 64);
  if (typeof disk === "string") return t.skip(disk);
  const paths = homePaths(join(disk.folder, "home"));
  prepareHome(paths);
  const present = join(paths.home, "present");
  ensureWritten(present, "text");
  // As versions before this one wrote it.
  writeFileSync(paths.gateway.epoch, "9\n");
  fill(join(disk.folder, "ballast"));
  assert.deepEqual([nextEpoch(paths), nextEpoch(paths)], [10, 11]);
  assert.equal(Number(readFileSync(paths.gateway.epoch, "utf8")), 11);
  ensureWritten(present, "text");
  const before = readdirSync(paths.home);
  const full = (path: string) => ({
    code: "store-unavailable",
    message: new RegExp(`^${path} can't be used: its disk is full`),
  });
  assert.throws(() => writeDurably(present, "other"), full(present));
  assert.throws(() => prepareHome(paths), {
    message: new RegExp(`^the home ${paths.home} can't be written: .*its disk is full`),
  });
  rmSync(paths.gateway.epoch);
  fill(join(disk.folder, "more-ballast"));
  assert.throws(() => nextEpoch(paths), full(paths.gateway.epoch));
  assert.deepEqual(readdirSync(paths.home), before);
  assert.equal(readFileSync(present, "utf8"), "text");
});
