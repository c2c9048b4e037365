import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { homePaths } from "./home.ts";
import { lockHome } from "./home-lock.ts";

const HOLDER = fileURLToPath(new URL("./home-lock.fixture.ts", import.meta.url));

function home(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-lock-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return homePaths(folder);
}

/** A process that tries to lock the home at a moment; resolves with what it said. */
async function holder(t: TestContext, folder: string, at = 0): Promise<{ said: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [HOLDER, folder, String(at)], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  const [said] = await once(child.stdout!.setEncoding("utf8"), "data");
  return { said: String(said).trim(), child };
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
  const { said, child } = await holder(t, paths.home);
  assert.equal(said, "held");
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

test("of many that start at once, on a free home and on one left behind, exactly one holds it", async (t) => {
  for (const left of [undefined, "999999999 1 gone"]) {
    for (let round = 0; round < 2; round++) {
      const paths = home(t);
      if (left !== undefined) writeFileSync(paths.lock, left);
      const at = Date.now() + 800;
      const rivals = await Promise.all(Array.from({ length: 6 }, () => holder(t, paths.home, at)));
      const held = rivals.filter(({ said }) => said === "held");
      assert.equal(held.length, 1, rivals.map(({ said }) => said).join("; "));
      for (const { said, child } of rivals) {
        if (said !== "held") assert.match(said, /^Colibri already runs on /);
        await kill(child);
      }
    }
  }
});

test("one that was killed in the middle of taking over does not shut the home for ever", (t) => {
  const paths = home(t);
  writeFileSync(paths.lock, "999999999 1 gone");
  writeFileSync(`${paths.lock}.after-999999999-1-gone`, "999999998 1 gone");
  lockHome(paths)();
  assert.deepEqual(readdirSync(paths.home), []);
});
