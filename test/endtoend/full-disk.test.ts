// A disk that is full: what is deployed answers on, also after any role was killed; what can't be done says why, at once.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fill, fillWithFiles, mountSmallDisk } from "#base/small-disk.fixture.ts";
import { ROLES } from "#platform/main/supervisor.ts";
import { finish, node, Place, type Platform, signal, startPlatform, until } from "./platform.ts";
import { roleOf } from "./processes.ts";

/** A home with all that a platform makes of itself at its start takes some 10 MiB. */
const DISK_KIB = 64 * 1024;
/** Several times what such a home has of them. */
const DISK_FILES = 4_000;
/** Far less than a call waits in the queue. */
const AT_ONCE_MS = 5_000;

/** Undefined where the test can't be run. */
function smallPlace(t: TestContext, environment: Record<string, string> = {}, files?: number): Place | undefined {
  const disk = mountSmallDisk(t, DISK_KIB, files);
  if (typeof disk === "string") {
    t.skip(disk);
    return undefined;
  }
  return new Place({ COLIBRI_HOME: disk.folder, ...environment });
}

/** The next agent does not have the bundle with that text, which this one fetched ahead. */
async function forget(home: string, text: string): Promise<void> {
  const bundles = join(home, "agent", "bundles");
  const hex = await until("the bundle was fetched ahead", () =>
    readdirSync(bundles).find((name) => {
      const code = join(bundles, name, "index.mjs");
      return existsSync(code) && readFileSync(code, "utf8").includes(text) && existsSync(`${join(bundles, name)}.json`);
    }),
  );
  rmSync(join(bundles, `${hex}.json`));
}

async function controlAnswers(platform: Platform): Promise<boolean> {
  return (await platform.api("/v1/health").catch(() => undefined))?.status === 200;
}

test("functions answer after any role was killed, and what needs room says that there is none", async (t) => {
  const place = smallPlace(t);
  if (place === undefined) return;
  const platform = await startPlatform(place);
  try {
    await platform.deploy("app", { warm: node("export default () => 1;"), cold: node("export default () => 2;") });
    assert.equal((await platform.call("app/warm")).status, 200);
    await forget(place.home, "=> 2");
    const ballast = join(place.home, "ballast");
    fill(ballast);
    for (const role of ROLES) {
      const before = platform.pidOf(role);
      signal(before, "SIGKILL");
      await until(`${role} is back`, () => ![undefined, before].includes(roleOf(place.home, role)?.pid));
      await until(`a call is answered after ${role} was killed`, async () => {
        const answer = await platform.call("app/warm").catch(() => undefined);
        return answer?.status === 200;
      });
    }
    const begun = Date.now();
    const { status, text } = await platform.call("app/cold");
    assert.deepEqual([status, /no room for the bundle /.test(text)], [503, true], text);
    assert.ok(Date.now() - begun < AT_ONCE_MS, "it is told late");
    await until("control answers", () => controlAnswers(platform));
    const deletion = await platform.colibri("delete", "app");
    assert.notEqual(deletion.code, 0);
    assert.match(deletion.err, /its disk is full/);
    rmSync(ballast);
    await until("the cold function answers", async () => (await platform.call("app/cold")).status === 200, 30_000);
    assert.equal((await platform.colibri("delete", "app")).code, 0);
  } finally {
    await platform.close();
  }
});

test("a sandbox for which there is no room is not waited for, and starts when there is", async (t) => {
  // Containers have their folders in memory.
  const place = smallPlace(t, { COLIBRI_SANDBOX: "process" }, DISK_FILES);
  if (place === undefined) return;
  const platform = await startPlatform(place);
  try {
    // Of one bundle, which is there when the second is called: what it needs is a folder.
    const fn = node("export default () => 1;");
    await platform.deploy("app", { first: fn, second: fn });
    assert.equal((await platform.call("app/first")).status, 200);
    const ballast = join(place.home, "ballast");
    fillWithFiles(ballast);
    const begun = Date.now();
    const { status, code, message } = await platform.call("app/second");
    assert.deepEqual([status, code], [503, "no-capacity"]);
    assert.match(message, /the nodejs guest could not be started: ENOSPC: no space left on device, mkdir '/);
    assert.ok(Date.now() - begun < AT_ONCE_MS, "it is told late");
    rmSync(ballast, { recursive: true });
    await until("the second answers", async () => (await platform.call("app/second")).status === 200, 30_000);
  } finally {
    await platform.close();
  }
});

test("a start on a full disk says so in one line, and leaves nothing", async (t) => {
  const place = smallPlace(t);
  if (place === undefined) return;
  try {
    await (await startPlatform(place)).stop();
    const before = readdirSync(place.home);
    fill(join(place.home, "ballast"));
    const { code, err } = await finish(place.spawn(["serve"]));
    assert.equal(code, 1);
    assert.match(err, /^colibri: the home \S+ can't be written: .*its disk is full \(ENOSPC\)[^\n]*\n$/);
    rmSync(join(place.home, "ballast"));
    assert.deepEqual(readdirSync(place.home), before);
    assert.ok(!existsSync(join(place.home, "run", ".writable")));
  } finally {
    place.remove();
  }
});
