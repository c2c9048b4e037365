import assert from "node:assert/strict";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { createSeededRandom, type Random } from "#base/random.ts";
import type { Admission } from "./admission.ts";
import { checksummed, inChunks, inTemporaryFolder, tarOf } from "./archive.fixture.ts";
import { ARCHIVE_LIMITS } from "./limits.ts";
import { unpackArchive } from "./unpack.ts";

/**
 * Valid archives, mutated: whatever comes of them, unpacking ends, gives an outcome rather than an error, leaves nothing beside
 * the folder and writes nowhere else. Set FUZZ_SEED to replay, FUZZ_MS to run longer.
 */
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
const RUN_MS = Number(process.env.FUZZ_MS ?? 1500);
const HANG_MS = 5000;
const LIMITS = { ...ARCHIVE_LIMITS, maximumBytes: 1_000_000, maximumEntries: 100 };

/** What lies around the folder, and how deep that is in it: high enough for every `..` below to end inside the test's own folder. */
const AROUND = "a/b/c/d";
const NAMES = [
  "../evil",
  "../../evil",
  "a/../../evil",
  "/evil",
  "link/evil",
  "out/evil",
  "bin/run",
  "bin",
  "link",
  "x\\y",
  ".",
  "",
  "n\0../evil",
];
const TARGETS = ["..", "../..", "../../..", ".", "bin", "bin/..", "link", "../evil", "nowhere", "bin/run"];
const TYPES = ["0", "1", "2", "3", "4", "5", "6", "7", "S", "x", "g", "L", "K", "\0", "V"];

function anyOf<T>(random: Random, choices: readonly T[]): T {
  return choices[random.below(choices.length)] as T;
}

/** Where the headers of a valid tar begin. */
function headersOf(tar: Buffer): number[] {
  const headers: number[] = [];
  for (let at = 0; tar[at] !== 0; ) {
    headers.push(at);
    at += 512 + Math.ceil(Number.parseInt(tar.toString("latin1", at + 124, at + 135), 8) / 512) * 512;
  }
  return headers;
}

const MUTATIONS: readonly ((tar: Buffer, headers: readonly number[], random: Random) => Buffer)[] = [
  (tar, headers, random) => field(tar, anyOf(random, headers), 0, 100, anyOf(random, NAMES)),
  (tar, headers, random) => field(tar, anyOf(random, headers), 157, 100, anyOf(random, TARGETS)),
  (tar, headers, random) => field(tar, anyOf(random, headers), 156, 1, anyOf(random, TYPES)),
  (tar, headers, random) =>
    field(tar, anyOf(random, headers), 124, 12, `${random.below(2000).toString(8).padStart(11, "0")} `),
  (tar, headers, random) => {
    const header = anyOf(random, headers);
    field(tar, header, 156, 1, "2");
    return field(tar, header, 157, 100, anyOf(random, TARGETS));
  },
  (tar, headers, random) => {
    const header = anyOf(random, headers);
    tar[header + random.below(512)] = random.below(256);
    return checksummed(tar, header);
  },
  (tar, _, random) => {
    tar[random.below(tar.byteLength)] = random.below(256);
    return tar;
  },
  (tar, _, random) => tar.subarray(0, random.below(tar.byteLength)),
  (tar, _, random) => Buffer.concat([tar, tar.subarray(random.below(tar.byteLength))]),
  (tar, headers, random) => {
    const cut = anyOf(random, headers);
    return Buffer.concat([tar.subarray(0, cut), tar.subarray(anyOf(random, headers))]);
  },
];

function field(tar: Buffer, header: number, at: number, length: number, text: string): Buffer {
  tar.fill(0, header + at, header + at + length);
  tar.write(text, header + at, length, "latin1");
  return checksummed(tar, header);
}

async function seedArchive(): Promise<Buffer> {
  return tarOf([
    { name: "bin/", type: "directory" },
    { name: "bin/run", content: "#!/bin/sh\n" },
    { name: "link", type: "symlink", linkname: "bin" },
    { name: "out", type: "symlink", linkname: "bin/run" },
    { name: "same", type: "link", linkname: "bin/run" },
    { name: "größe", content: "ü".repeat(700) },
    { name: "other/file", content: "x" },
    { name: "last", content: "y" },
  ]);
}

function mutate(archive: Buffer, random: Random): Buffer {
  let tar: Buffer = Buffer.from(archive);
  const headers = headersOf(archive);
  for (let count = 1 + random.below(4); count > 0; count--) {
    const usable = headers.filter((header) => header + 512 <= tar.byteLength);
    if (usable.length > 0) tar = anyOf(random, MUTATIONS)(tar, usable, random);
  }
  if (random.below(4) > 0) return tar;
  const gzip = gzipSync(tar, { level: 1 });
  if (random.below(2) === 0) gzip[random.below(gzip.byteLength)] = random.below(256);
  return gzip;
}

/** One mutated archive in a world of its own; throws when a promise is broken. */
async function unpackIn(world: string, archive: Buffer, admission?: Admission): Promise<"unpacked" | "refused"> {
  const around = join(world, AROUND);
  await mkdir(around, { recursive: true });
  const before = await outsideOf(world, join(around, "app"));
  const unpacking = unpackArchive(inChunks(archive, 700), join(around, "app"), {
    limits: LIMITS,
    ...(admission && { admission }),
  });
  const outcome = await within(HANG_MS, unpacking);
  assert.deepEqual(await outsideOf(world, join(around, "app")), before, "it wrote outside of its folder");
  assert.deepEqual(await readdir(around), outcome.kind === "unpacked" ? ["app"] : [], "it left something");
  return outcome.kind;
}

async function outsideOf(world: string, folder: string): Promise<string[]> {
  const all = await readdir(world, { recursive: true, withFileTypes: true });
  const paths = all.map((entry) => join(entry.parentPath, entry.name));
  return paths.filter((path) => relative(folder, path).startsWith("..")).sort();
}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const { promise: hanging, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`it did not end within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, hanging]);
  } finally {
    clearTimeout(timer);
  }
}

test("mutated archives are unpacked into their folder or refused", async (context) => {
  const counts = { unpacked: 0, refused: 0 };
  const archive = await seedArchive();
  const until = Date.now() + RUN_MS;
  for (let seed = SEED; Date.now() < until; seed++) {
    await inTemporaryFolder(async (world) => {
      try {
        counts[await unpackIn(world, mutate(archive, createSeededRandom(seed)))] += 1;
      } catch (error) {
        throw new Error(`FUZZ_SEED=${seed} replays this`, { cause: error });
      }
    });
  }
  context.diagnostic(`FUZZ_SEED=${SEED}: ${counts.unpacked} unpacked, ${counts.refused} refused`);
  assert.ok(counts.unpacked > 0 && counts.refused > 0, "the mutations are too harsh or too mild");
});

test("canary: the same archives catch an unpacker that believes what it reads", async () => {
  const archive = await seedArchive();
  const caught = new Set<string>();
  for (let seed = 1; seed <= 3000 && caught.size < 2; seed++) {
    await inTemporaryFolder(async (world) => {
      try {
        await unpackIn(world, mutate(archive, createSeededRandom(seed)), believing());
      } catch (error) {
        const what = (error as Error).message.split("\n")[0] ?? "";
        if (/outside|EEXIST/.test(what)) caught.add(/outside/.test(what) ? "outside" : "not an outcome");
      }
    });
  }
  assert.deepEqual([...caught].sort(), ["not an outcome", "outside"]);
});

/** Admits everything, except for what would leave even the test's own folder. */
function believing(): Admission {
  let files = 0;
  return {
    totals: () => ({ files, bytes: 0 }),
    admit: ({ name, type, linkname }) => {
      files += 1;
      assert.ok(!/^\/|(\.\.\/?){5}|\0/.test(`${name}`), "too far for a test");
      assert.ok(!/^\/|(\.\.\/?){5}|\0/.test(linkname ?? ""), "too far for a test");
      if (type === "directory") return { kind: "folder", path: name };
      if (type === "symlink") return { kind: "symlink", path: name, target: linkname ?? "" };
      if (type === "link") return { kind: "hardlink", path: name, target: linkname ?? "" };
      return { kind: "file", path: name, executable: false };
    },
  };
}

test("the seed archive itself is valid, gzipped as well", async () => {
  const archive = await seedArchive();
  for (const bytes of [archive, gzipSync(archive)]) {
    await inTemporaryFolder(async (world) => {
      assert.equal(await unpackIn(world, bytes), "unpacked");
      assert.equal(await readFile(join(world, AROUND, "app", "same"), "utf8"), "#!/bin/sh\n");
    });
  }
  assert.equal(Buffer.compare(gunzipSync(gzipSync(archive)), archive), 0);
});
