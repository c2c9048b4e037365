import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFile,
  chmod,
  mkdir,
  readFile,
  readlink,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inChunks, inTemporaryFolder } from "./archive.fixture.ts";
import { packFolder } from "./pack.ts";
import { unpackArchive } from "./unpack.ts";
import { type FolderEntry, walkFolder } from "./walk.ts";

const LONG = `${"long/".repeat(30)}name`;

async function makeTree(folder: string, order: 1 | -1): Promise<void> {
  const files: [string, Buffer][] = [
    ["index.mjs", Buffer.from("export default () => 'hello';\n")],
    ["bin/run", Buffer.from("#!/bin/sh\n")],
    ["größe.txt", Buffer.from("ü")],
    ["empty", Buffer.alloc(0)],
    [LONG, Buffer.from("deep")],
    ["big", Buffer.alloc(1_000_001, "colibri")],
  ];
  for (const [path, content] of order === 1 ? files : files.reverse()) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  await symlink("index.mjs", join(folder, "main"));
  await symlink(`../${LONG}`, join(folder, "bin", "long"));
}

async function entriesOf(folder: string): Promise<readonly FolderEntry[]> {
  const walked = await walkFolder(folder);
  assert.equal(walked.kind, "walked");
  return walked.entries;
}

async function digestOf(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of packFolder(folder, await entriesOf(folder))) hash.update(chunk);
  return hash.digest("hex");
}

test("the same files give the same bytes, whatever their times, modes' details and order of making", async () => {
  await inTemporaryFolder(async (folder) => {
    const [one, two] = [join(folder, "one"), join(folder, "two")];
    await makeTree(one, 1);
    await makeTree(two, -1);
    await chmod(join(one, "bin/run"), 0o700);
    await chmod(join(two, "bin/run"), 0o4775);
    await chmod(join(two, "big"), 0o600);
    await utimes(join(two, "index.mjs"), 1, 1);
    assert.equal(await digestOf(one), await digestOf(two));
    // Of an archive made on another day: if this changes, every bundle that is built again gets a new digest.
    assert.equal(await digestOf(one), "9fdbbd67a688bddf72dadbe85666e8a5d8dd7c51c00d2f1f10283f8b45aee685");
    await chmod(join(two, "bin/run"), 0o644);
    assert.notEqual(await digestOf(one), await digestOf(two));
  });
});

test("what is packed is unpacked the same, here and by GNU tar", async () => {
  await inTemporaryFolder(async (folder) => {
    const from = join(folder, "from");
    await makeTree(from, 1);
    await chmod(join(from, "bin/run"), 0o755);
    const archive = Buffer.concat(await Array.fromAsync(packFolder(from, await entriesOf(from))));
    assert.equal((await unpackArchive(inChunks(archive), join(folder, "to"))).kind, "unpacked");
    await mkdir(join(folder, "gnu"));
    execFileSync("tar", ["-xf", "-", "-C", join(folder, "gnu")], { input: archive });
    for (const to of [join(folder, "to"), join(folder, "gnu")]) {
      execFileSync("diff", ["-r", "--no-dereference", from, to]);
      assert.equal((await stat(join(to, "bin/run"))).mode & 0o777, 0o755);
      assert.equal(await readlink(join(to, "main")), "index.mjs");
      assert.equal(await readFile(join(to, "bin/long"), "utf8"), "deep");
    }
  });
});

test("a file that grew, shrank or went since it was found is an error that names it", async () => {
  await inTemporaryFolder(async (folder) => {
    for (const change of [(path: string) => appendFile(path, "x"), (path: string) => truncate(path, 3)]) {
      await writeFile(join(folder, "data"), "content");
      const entries = await entriesOf(folder);
      await change(join(folder, "data"));
      await assert.rejects(Array.fromAsync(packFolder(folder, entries)), /data was changed while it was packed/);
    }
    const gone: FolderEntry = { kind: "file", path: "gone", bytes: 1, executable: false };
    await assert.rejects(Array.fromAsync(packFolder(folder, [gone])), /ENOENT.*gone/);
  });
});

test("a file that shrinks while it is packed is an error, not a short archive", async () => {
  await inTemporaryFolder(async (folder) => {
    await writeFile(join(folder, "data"), Buffer.alloc(4_000_000));
    const entries = await entriesOf(folder);
    const reading = async (): Promise<void> => {
      let first = true;
      for await (const _ of packFolder(folder, entries)) {
        if (first) await truncate(join(folder, "data"), 1000);
        first = false;
      }
    };
    await assert.rejects(reading(), /data was changed/);
  });
});

test("a link put in place of a file is not followed", async () => {
  await inTemporaryFolder(async (folder) => {
    await writeFile(join(folder, "secret"), "secret!");
    await symlink("secret", join(folder, "data"));
    const entry: FolderEntry = { kind: "file", path: "data", bytes: 7, executable: false };
    await assert.rejects(Array.fromAsync(packFolder(folder, [entry])), /ELOOP/);
  });
});

test("a reader may leave early", async () => {
  await inTemporaryFolder(async (folder) => {
    await makeTree(join(folder, "tree"), 1);
    let read = 0;
    for await (const chunk of packFolder(join(folder, "tree"), await entriesOf(join(folder, "tree")))) {
      read += chunk.byteLength;
      break;
    }
    assert.ok(read > 0);
  });
});
