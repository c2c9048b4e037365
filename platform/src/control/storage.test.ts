import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { fill, mountSmallDisk } from "#base/small-disk.fixture.ts";
import { PlatformError } from "#contract/errors.ts";
import { createRecords } from "./records.ts";
import { createStorage } from "./storage.ts";

function make(t: TestContext, disk?: { readonly folder: string }) {
  const root = disk?.folder ?? mkdtempSync(join(tmpdir(), "colibri-storage-"));
  if (disk === undefined) t.after(() => rmSync(root, { recursive: true }));
  const clock = new SimulatedClock(Date.parse("2026-01-31T12:00:00Z"));
  const folder = join(root, "logs");
  const storage = createStorage({ clock }, [
    { what: "function logs", folder },
    { what: "records", folder: root, files: ["records.db"] },
  ]);
  return { root, clock, folder, storage };
}

/** Asked again after what was seen last counts no more. */
async function ask({ clock, storage }: Pick<ReturnType<typeof make>, "clock" | "storage">) {
  await clock.advance(1_000);
  return storage.problems();
}

test("where everything can be written there is no problem, and nothing is left by looking", async (t) => {
  const made = make(t);
  assert.deepEqual(await ask(made), []);
  assert.deepEqual(readdirSync(made.root), ["logs"]);
  assert.deepEqual(readdirSync(made.folder), []);
});

test("a file in the place of a folder is told, with what to do, until it is gone; then the folder is made", async (t) => {
  const made = make(t);
  writeFileSync(made.folder, "in the way");
  const [problem, ...others] = await ask(made);
  assert.deepEqual(others, []);
  assert.equal(problem?.what, "function logs");
  assert.ok(problem.path.startsWith(made.folder), problem.path);
  assert.match(problem.problem, /a file for a folder/);
  assert.match(problem.remedy, /Move that away/);
  assert.equal(problem.since, "2026-01-31T12:00:01.000Z");
  assert.equal((await ask(made))[0]?.since, "2026-01-31T12:00:01.000Z");
  rmSync(made.folder);
  assert.deepEqual(await ask(made), []);
  assert.deepEqual(readdirSync(made.root), ["logs"]);
});

test("a folder in the place of a file is told", async (t) => {
  const made = make(t);
  mkdirSync(join(made.root, "records.db"));
  const problems = await ask(made);
  assert.deepEqual(
    problems.map(({ what, path }) => [what, path]),
    [["records", join(made.root, "records.db")]],
  );
});

test("a full disk is told until there is room", async (t) => {
  const disk = mountSmallDisk(t, 64);
  if (typeof disk === "string") return t.skip(disk);
  const made = make(t, disk);
  assert.deepEqual(await ask(made), []);
  fill(join(made.folder, "filler"));
  const problems = await ask(made);
  assert.deepEqual(
    problems.map(({ what, problem }) => [what, problem]),
    [
      ["function logs", "there is no room left"],
      ["records", "there is no room left"],
    ],
  );
  assert.match(problems[0]!.remedy, /Free some room/);
  rmSync(join(made.folder, "filler"));
  assert.deepEqual(await ask(made), []);
});

test("permissions are told to whom they matter", async (t) => {
  if (process.getuid?.() === 0) return t.skip("root may write everywhere");
  const made = make(t);
  mkdirSync(made.folder, { mode: 0o500 });
  assert.equal((await ask(made))[0]?.problem, "it may not be written");
  chmodSync(made.folder, 0o700);
});

test("a write that fails is told until one succeeds, though the place can be written", async (t) => {
  const made = make(t);
  const error = Object.assign(new Error("EROFS: read-only file system"), {
    code: "EROFS",
    path: "/somewhere/1.ndjson",
  });
  await assert.rejects(made.storage.follow("function logs", Promise.reject(error)), error);
  assert.deepEqual(
    (await ask(made)).map(({ path, problem }) => [path, problem]),
    [["/somewhere/1.ndjson", "its file system is read-only"]],
  );
  const full = new PlatformError("store-unavailable", "records: database or disk is full");
  await assert.rejects(made.storage.follow("records", Promise.reject(full)), full);
  assert.equal((await ask(made))[1]?.problem, "there is no room left");
  assert.equal(await made.storage.follow("records", Promise.resolve(7)), 7);
  assert.equal((await ask(made)).length, 1);
  await made.storage.follow("function logs", Promise.resolve());
  assert.deepEqual(await ask(made), []);
});

test("records that find no room are told, and that they do again", async (t) => {
  const disk = mountSmallDisk(t, 2_048);
  if (typeof disk === "string") return t.skip(disk);
  const made = make(t, disk);
  const onLost = (error: Error) => assert.fail(error);
  const deps = { clock: createSystemClock(), log: createSilentLog(), onLost };
  const records = createRecords(deps, { path: join(made.root, "records.db") });
  t.after(() => records.close());
  await records.open(AbortSignal.timeout(5_000));
  const append = (count: number) => {
    const rows = JSON.stringify(Array.from({ length: count }, () => ["x".repeat(100)]));
    const of = { tenant: "default", app: "a", function: "f" } as const;
    const id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    return made.storage.follow(
      "records",
      records.append([{ kind: "records", ...of, first: id, last: id, count, rows }]),
    );
  };
  const filler = join(disk.folder, "filler");
  fill(filler);
  await assert.rejects(append(1_000), /full/);
  const problem = (await ask(made)).find(({ what }) => what === "records");
  assert.equal(problem?.problem, "there is no room left");
  rmSync(filler);
  await append(1_000);
  assert.deepEqual(await ask(made), []);
});

test("however often it is asked, the places are tried once a second", async (t) => {
  const made = make(t);
  assert.deepEqual(await ask(made), []);
  writeFileSync(join(made.root, "in-the-way"), "");
  rmSync(made.folder, { recursive: true });
  writeFileSync(made.folder, "");
  await made.clock.advance(900);
  assert.deepEqual(await made.storage.problems(), []);
  assert.equal((await ask(made)).length, 1);
});

test("a try that hangs is told and stays the only one of its place; others find a thread; it ends, and all is well", {
  timeout: 20_000,
}, async (t) => {
  const { root, clock } = make(t);
  const names = ["a", "b", "c", "d"];
  const storage = createStorage(
    { clock },
    names.map((what) => ({ what, folder: join(root, what) })),
  );
  // Nobody reads from them: opening one for writing takes as long as on a dead disk, and a thread too.
  const pipes = names.map((name) => join(root, name, `.writable-${name}`));
  for (const name of names) mkdirSync(join(root, name));
  execFileSync("mkfifo", pipes);
  let readers: number[] = [];
  t.after(() => readers.forEach(closeSync));
  try {
    for (let asked = 0; asked < 12; asked++) {
      await clock.advance(1_000);
      const asking = storage.problems();
      await clock.advance(2_000);
      assert.deepEqual(
        (await asking).map(({ what, problem, since }) => [what, problem, since]),
        ["no answer within 2000 ms", "it could not be tried: other places give no answer"].flatMap((problem, half) =>
          names.slice(half * 2, half * 2 + 2).map((what) => [what, problem, "2026-01-31T12:00:03.000Z"]),
        ),
      );
    }
    assert.ok((await stat(root)).isDirectory());
  } finally {
    readers = pipes.map((pipe) => openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK));
  }
  while ((await ask({ clock, storage })).length > 0);
  for (const name of names) assert.deepEqual(readdirSync(join(root, name)), []);
});
