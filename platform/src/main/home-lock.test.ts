import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { homePaths } from "./home.ts";
import { lockHome } from "./home-lock.ts";

const HOMES = 300;
const HOLDER = fileURLToPath(new URL("./home-lock.fixture.ts", import.meta.url));

/** A folder of homes, and the paths of the first. */
function homes(t: TestContext, count: number) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-lock-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const all = Array.from({ length: count }, (_, index) => homePaths(join(folder, String(index))));
  for (const { home } of all) mkdirSync(home);
  return { folder, all };
}

function home(t: TestContext) {
  return homes(t, 1).all[0]!;
}

/** A process that locks all the homes of a folder that it can, from a moment on; resolves with which it holds. */
async function holder(t: TestContext, folder: string, at = 0): Promise<{ held: string[]; child: ChildProcess }> {
  const child = spawn(process.execPath, [HOLDER, folder, String(at)], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [said] = await once(child.stdout!.setEncoding("utf8"), "data");
  return { held: String(said).trim().split(" ").filter(Boolean), child };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("a home is held by one process, which is named to the next, and free when it is given back", (t) => {
  const paths = home(t);
  const unlock = lockHome(paths);
  assert.throws(() => lockHome(paths), {
    code: "conflict",
    message: `Colibri already runs on ${paths.home} (process ${process.pid}): stop it first, or choose another COLIBRI_HOME`,
  });
  unlock();
  assert.ok(!existsSync(paths.lock));
  lockHome(paths)();
  assert.deepEqual(readdirSync(paths.home), []);
});

test("the lock of a process that was killed is taken over; that of one that lives is not", async (t) => {
  const paths = home(t);
  const { held, child } = await holder(t, dirname(paths.home));
  assert.deepEqual(held, ["0"]);
  assert.throws(() => lockHome(paths), { message: new RegExp(`process ${child.pid}\\)`) });
  await kill(child);
  const unlock = lockHome(paths);
  assert.match(readFileSync(paths.lock, "utf8"), new RegExp(`^${process.pid} `));
  unlock();
  assert.deepEqual(readdirSync(paths.home), []);
});

test("the lock of an earlier process with the same number, or of another boot, is not believed", (t) => {
  const paths = home(t);
  lockHome(paths);
  const [pid, started, boot] = readFileSync(paths.lock, "utf8").split(" ");
  for (const stale of [
    `${pid} ${Number(started) - 1} ${boot}`,
    `${pid} ${started} another-boot`,
    `${pid}`,
    "",
    "nonsense",
  ]) {
    writeFileSync(paths.lock, stale);
    const unlock = lockHome(paths);
    unlock();
    assert.ok(!existsSync(paths.lock), stale);
  }
});

test("a lock is given back only by who has it", (t) => {
  const paths = home(t);
  const unlock = lockHome(paths);
  writeFileSync(paths.lock, "somebody else's");
  unlock();
  assert.equal(readFileSync(paths.lock, "utf8"), "somebody else's");
});

test("of many that start at once, on homes left behind and on free ones, one holds each", async (t) => {
  const { folder, all } = homes(t, HOMES);
  for (const [index, { lock }] of all.entries()) if (index % 4 > 0) writeFileSync(lock, "999999999 1 gone");
  const at = Date.now() + 1_000;
  const rivals = await Promise.all(Array.from({ length: 4 }, () => holder(t, folder, at)));
  assert.ok(rivals.filter(({ held }) => held.length > 0).length > 1, "nobody raced");
  const holders = rivals.flatMap(({ held }) => held).sort((a, b) => Number(a) - Number(b));
  assert.deepEqual(
    holders,
    Array.from({ length: HOMES }, (_, index) => String(index)),
  );
});

test("one that was killed in the middle of taking over does not shut the home for ever", (t) => {
  const paths = home(t);
  writeFileSync(paths.lock, "999999999 1 gone");
  writeFileSync(`${paths.lock}.after-999999999-1-gone`, "999999998 1 gone");
  lockHome(paths)();
  assert.deepEqual(readdirSync(paths.home), []);
});
