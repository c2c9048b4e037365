// A place on disk that can't be written is told by health and doctor, with what to do; what waited is kept when it is mended.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Health } from "#contract/api/resources.ts";
import { node, Place, type Platform, startPlatform, until } from "./platform.ts";

let platform: Platform;
before(async () => {
  platform = await startPlatform();
  await platform.deploy("app", { talks: node('export default () => { console.log("kept"); };') });
});
after(() => platform?.close());

async function health(): Promise<Health> {
  return (await platform.api("/v1/health")).json as Health;
}

test("a file in the place of the functions' logs", async () => {
  const logs = join(platform.home, "control", "logs");
  assert.deepEqual((await health()).storage, []);
  rmSync(logs, { recursive: true, force: true });
  writeFileSync(logs, "in the way");
  assert.equal((await platform.call("app/talks")).status, 204);
  const { storage, status } = await until("health tells", async () => {
    const now = await health();
    return now.storage.length > 0 && now;
  });
  assert.equal(status, "degraded");
  assert.equal(storage[0]?.what, "function logs");
  assert.ok(storage[0].path.startsWith(logs));
  const doctor = await platform.colibri("doctor");
  assert.notEqual(doctor.code, 0);
  assert.match(doctor.out, /function logs.*can't be written since.*a file for a folder/);
  assert.match(doctor.out, /Move that away/);
  rmSync(logs);
  await until("the line that waited is there", async () =>
    (await platform.logs("app/talks")).some(({ text }) => text === "kept"),
  );
  await until("health has nothing to tell", async () => (await health()).status === "ok");
});

test("a folder in the place of the platform's log", async () => {
  const path = join(platform.home, "logs", "platform.ndjson");
  renameSync(path, `${path}.aside`);
  mkdirSync(path);
  const { storage } = await until("health tells", async () => {
    const now = await health();
    return now.storage.length > 0 && now;
  });
  assert.deepEqual(
    storage.map(({ what, path }) => [what, path]),
    [["platform log", path]],
  );
  rmdirSync(path);
  renameSync(`${path}.aside`, path);
  await until("health has nothing to tell", async () => (await health()).status === "ok");
});

test("a platform whose log's disk hangs answers, and stops all the same", async () => {
  const place = new Place();
  mkdirSync(join(place.home, "logs"), { recursive: true, mode: 0o700 });
  // Nobody reads it: opening it takes as long as on a dead disk.
  execFileSync("mkfifo", [join(place.home, "logs", "platform.ndjson")]);
  const hanging = await startPlatform(place);
  try {
    await hanging.deploy("app", { answers: node("export default () => 1;") });
    assert.equal((await hanging.call("app/answers")).status, 200);
    hanging.child.kill("SIGTERM");
    await until("it has stopped", () => hanging.child.exitCode !== null, 20_000);
  } finally {
    await hanging.close();
  }
});
