import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Digest, digestHex } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { blobsConformance } from "#ports/blobs/conformance.ts";
import { createFilesystemBlobs } from "./driver.ts";

const HELLO = Buffer.from("hello");
const DIGEST: Digest = `sha256:${createHash("sha256").update(HELLO).digest("hex")}`;
const SOON = (): AbortSignal => AbortSignal.timeout(10_000);

blobsConformance("filesystem", async () => {
  const root = await mkdtemp(join(tmpdir(), "colibri-blobs-"));
  return {
    blobs: createFilesystemBlobs({ root }),
    corrupt: (tenant, digest, at) => flipBit(fileOf(root, tenant, digest), at),
    strays: () => readdir(join(root, "incoming")),
    again: () => createFilesystemBlobs({ root }),
    remove: () => rm(root, { recursive: true }),
  };
});

function fileOf(root: string, tenant: string, digest: Digest): string {
  return join(root, "tenants", tenant, digestHex(digest).slice(0, 2), digestHex(digest));
}

async function flipBit(path: string, at: number): Promise<void> {
  const file = await open(path, "r+");
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, at);
  await file.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  await file.close();
}

async function* source(content: Uint8Array = HELLO): AsyncGenerator<Uint8Array> {
  yield content;
}

async function inFolder(run: (root: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "colibri-blobs-"));
  try {
    await run(root);
  } finally {
    await rm(root, { recursive: true });
  }
}

test("a blob is one file below its tenant, and its time is the file's", async () => {
  await inFolder(async (root) => {
    const blobs = createFilesystemBlobs({ root });
    await blobs.open(SOON());
    await blobs.put("acme", DIGEST, source(), { maximumBytes: 5 });
    const file = await stat(fileOf(root, "acme", DIGEST));
    assert.deepEqual(await blobs.stat("acme", DIGEST), { bytes: 5, storedAtMs: Math.floor(file.mtimeMs) });
  });
});

test("what a crash left in incoming is removed at open, and whole blobs stay", async () => {
  await inFolder(async (root) => {
    const before = createFilesystemBlobs({ root });
    await before.open(SOON());
    await before.put("acme", DIGEST, source(), { maximumBytes: 5 });
    await writeFile(join(root, "incoming", "0"), "half of a blo");
    const after = createFilesystemBlobs({ root });
    await after.open(SOON());
    assert.deepEqual(await readdir(join(root, "incoming")), []);
    assert.equal(await after.has("acme", DIGEST), true);
  });
});

test("a reader beside the writer removes nothing and writes nothing", async () => {
  await inFolder(async (root) => {
    const writer = createFilesystemBlobs({ root });
    await writer.open(SOON());
    await writeFile(join(root, "incoming", "other"), "being written");
    const reader = createFilesystemBlobs({ root, readOnly: true });
    await reader.open(SOON());
    assert.deepEqual(await readdir(join(root, "incoming")), ["other"]);
    assert.equal(reader.capabilities.writable, false);
    const refused = (error: unknown): boolean => error instanceof PlatformError && /read only/.test(error.message);
    await assert.rejects(reader.put("acme", DIGEST, source(), { maximumBytes: 5 }), refused);
    await assert.rejects(reader.delete("acme", DIGEST), refused);
    await writer.put("acme", DIGEST, source(), { maximumBytes: 5 });
    assert.equal(await reader.has("acme", DIGEST), true);
  });
});

test("what is no blob is not listed", async () => {
  await inFolder(async (root) => {
    const blobs = createFilesystemBlobs({ root });
    await blobs.open(SOON());
    await mkdir(join(root, "tenants", "acme", "aa"), { recursive: true });
    await writeFile(join(root, "tenants", "acme", "aa", "README"), "not a blob");
    assert.deepEqual(await Array.fromAsync(blobs.list("acme")), []);
  });
});

test("a failing disk is an error that names the path and the cause", async () => {
  await inFolder(async (root) => {
    await writeFile(join(root, "file"), "");
    const blobs = createFilesystemBlobs({ root: join(root, "file") });
    await assert.rejects(blobs.open(SOON()), (error) => {
      assert.ok(error instanceof PlatformError);
      assert.equal(error.code, "store-unavailable");
      assert.match(error.message, /prepare .*file: .*EEXIST/);
      return true;
    });
  });
});
