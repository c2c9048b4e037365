import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, readlink, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { inChunks, inTemporaryFolder, patched, tarOf, type Written } from "./archive.fixture.ts";
import { ARCHIVE_LIMITS, type ArchiveLimits } from "./limits.ts";
import type { RefusalReason } from "./refusal.ts";
import { type UnpackOutcome, unpackArchive } from "./unpack.ts";

const HELLO: Written = { name: "hello.txt", content: "hello" };

async function refused(
  archive: Uint8Array,
  reason: RefusalReason,
  message: RegExp,
  limits?: Partial<ArchiveLimits>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const options = { limits: { ...ARCHIVE_LIMITS, ...limits } };
    const outcome = await unpackArchive(inChunks(archive), join(folder, "app"), options);
    assert.equal(outcome.kind, "refused", "it was unpacked");
    assert.equal(outcome.reason, reason, outcome.message);
    assert.match(outcome.message, message);
    assert.deepEqual(await readdir(folder), [], "something was left");
  });
}

async function unpacked(
  archive: Uint8Array,
  look: (folder: string, outcome: UnpackOutcome) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const outcome = await unpackArchive(inChunks(archive), join(folder, "app"));
    assert.equal(outcome.kind, "unpacked", outcome.kind === "refused" ? outcome.message : "");
    assert.deepEqual(await readdir(folder), ["app"]);
    await look(join(folder, "app"), outcome);
  });
}

describe("an honest archive", () => {
  const honest: Written[] = [
    { name: "./", type: "directory" },
    { name: "./empty/", type: "directory" },
    { name: "bin/run", content: "#!/bin/sh\n", mode: 0o4755 },
    { name: "bin/", type: "directory" },
    { name: "nothing", content: "" },
    { name: "größe/naïve.txt", content: "ü" },
    { name: `${"long/".repeat(40)}name`, content: "deep" },
    { name: "big", content: Buffer.alloc(300_001, 7) },
    { name: "bin/same", type: "link", linkname: "bin/run" },
    { name: "lib/current", type: "symlink", linkname: "../bin/./run" },
  ];
  for (const [form, compress] of [
    ["plain", Buffer.from],
    ["gzipped", gzipSync],
  ] as const) {
    test(`${form}, is unpacked as it was packed`, async () => {
      await unpacked(compress(await tarOf(honest)), async (folder, outcome) => {
        assert.deepEqual(outcome, { kind: "unpacked", files: 6, bytes: 10 + 2 + 4 + 300_001 + 10 });
        assert.equal(await readFile(join(folder, "größe/naïve.txt"), "utf8"), "ü");
        assert.equal(await readFile(join(folder, `${"long/".repeat(40)}name`), "utf8"), "deep");
        assert.equal(Buffer.compare(await readFile(join(folder, "big")), Buffer.alloc(300_001, 7)), 0);
        assert.equal(await readlink(join(folder, "lib/current")), "../bin/run");
        assert.equal(await readFile(join(folder, "bin/same"), "utf8"), "#!/bin/sh\n");
        assert.deepEqual(await readdir(join(folder, "empty")), []);
      });
    });
  }

  test("loses setuid bits and keeps only whether a file can be run", async () => {
    await unpacked(await tarOf(honest), async (folder) => {
      assert.equal((await stat(folder)).mode & 0o7777, 0o755);
      assert.equal((await stat(join(folder, "bin/run"))).mode & 0o7777, 0o755);
      assert.equal((await stat(join(folder, "big"))).mode & 0o7777, 0o644);
    });
  });

  test("may come in pieces of any size", async () => {
    const archive = gzipSync(await tarOf(honest));
    for (const size of [1, 511, 1_000_000]) {
      await inTemporaryFolder(async (folder) => {
        assert.equal((await unpackArchive(inChunks(archive, size), join(folder, "app"))).kind, "unpacked");
      });
    }
  });

  test("may come from GNU tar, long names and links included", async () => {
    await inTemporaryFolder(async (folder) => {
      await mkdir(join(folder, "in", "d".repeat(90), "e".repeat(90)), { recursive: true });
      await writeFile(join(folder, "in", "d".repeat(90), "e".repeat(90), "file"), "x");
      for (const format of ["gnu", "pax", "ustar"]) {
        const archive = execFileSync("tar", [`--format=${format}`, "-czf", "-", "-C", join(folder, "in"), "."]);
        const outcome = await unpackArchive(inChunks(archive), join(folder, format));
        assert.deepEqual(outcome, { kind: "unpacked", files: 1, bytes: 1 });
        assert.equal(await readFile(join(folder, format, "d".repeat(90), "e".repeat(90), "file"), "utf8"), "x");
      }
    });
  });
});

describe("paths and links that lead outside are refused", () => {
  const link = (name: string, linkname: string, type = "symlink"): Written => ({ name, type, linkname });
  const file = (name: string): Written => ({ name, content: "x" });
  const hostile: [string, RefusalReason, RegExp, Written[]][] = [
    ["an absolute path", "absolute-path", /"\/etc\/passwd".*relative/, [file("/etc/passwd")]],
    ["a path with ..", "path-escape", /"\.\.\/evil"/, [file("../evil")]],
    ["a path with .. inside", "path-escape", /"a\/\.\.\/\.\.\/evil"/, [file("a/../../evil")]],
    ["a folder that is ..", "path-escape", /"\.\."/, [{ name: "..", type: "directory" }]],
    ["a backslash", "bad-name", /backslash/, [file("..\\evil")]],
    ["a NUL in a long name", "bad-name", /NUL/, [{ ...file("x"), pax: { path: "a\0/../../evil" } }]],
    ["an absolute link", "link-outside", /"etc".*"\/etc"/, [link("etc", "/etc")]],
    ["a link that goes up too far", "link-outside", /"a\/up".*outside/, [link("a/up", "../../x")]],
    ["a link to the folder above", "link-outside", /outside/, [link("up", "..")]],
    [
      "a link with .. after a name",
      "link-outside",
      /may lead anywhere/,
      [link("d/e/root", "../.."), link("out", "d/e/root/..")],
    ],
    [
      "a link without target",
      "bad-link",
      /without a target/,
      [{ ...link("a", "b"), pax: { linkpath: "./" } }, link("x", "")],
    ],
    ["a NUL in a link", "bad-name", /NUL/, [{ ...link("a", "b"), pax: { linkpath: "b\0/../../../etc" } }]],
    ["a file through a link", "not-a-folder", /"a\/file".*"a".*symlink/, [link("a", "b"), file("a/file")]],
    ["a file through a link to a folder", "not-a-folder", /symlink/, [file("b/c"), link("a", "b"), file("a/d/file")]],
    ["a link in place of a folder", "duplicate", /already/, [file("a/b"), link("a", "c")]],
    ["a folder in place of a link", "duplicate", /already/, [link("a", "b"), { name: "a", type: "directory" }]],
    ["a file written over a link", "duplicate", /already/, [link("a", "b"), file("a")]],
    ["a file below a file", "not-a-folder", /which is a file/, [file("a"), file("a/b")]],
    ["a hard link to the outside", "path-escape", /\.\./, [link("a", "../../etc/passwd", "link")]],
    ["an absolute hard link", "absolute-path", /"\/etc\/passwd"/, [link("a", "/etc/passwd", "link")]],
    ["a hard link to a link", "bad-link", /no earlier file/, [link("a", "b"), link("c", "a", "link")]],
    ["a hard link to nothing", "bad-link", /no earlier file/, [link("c", "a", "link")]],
    ["a file twice", "duplicate", /"a" .*already/, [file("a"), file("./a")]],
    [
      "a folder twice",
      "duplicate",
      /already/,
      [
        { name: "a", type: "directory" },
        { name: "a/", type: "directory" },
      ],
    ],
    ["the folder itself as a file", "bad-name", /^"" is refused: its name is empty or "\."/, [file("./.")]],
    ["a name that is empty", "bad-name", /^"" is refused: its name is empty/, [file("")]],
    ["a name that is not UTF-8", "bad-name", /UTF-8/, [{ ...file("x"), pax: { path: "a\uFFFD" } }]],
  ];
  for (const [name, reason, message, entries] of hostile) {
    test(name, async () => refused(await tarOf([HELLO, ...entries]), reason, message));
  }
});

describe("what is no file, folder or link is refused", () => {
  for (const type of ["character-device", "block-device", "fifo"]) {
    test(`a ${type}`, async () =>
      refused(await tarOf([HELLO, { name: "dev", type }]), "special-file", new RegExp(`"dev".*${type}`)));
  }
  for (const [name, flag] of [
    ["a GNU sparse file", "S"],
    ["a contiguous file", "7"],
    ["a multi-volume part", "M"],
  ] as const) {
    test(name, async () => refused(patched(await tarOf([HELLO]), 156, flag), "unknown-type", /"hello.txt".*unknown/));
  }
  test("a sparse file in a pax header", async () => {
    await refused(await tarOf([{ ...HELLO, pax: { "GNU.sparse.major": "1" } }]), "unknown-type", /sparse/);
  });
  test("a folder with content", async () =>
    refused(patched(await tarOf([HELLO]), 156, "5"), "malformed", /has content/));
  test("a file whose name ends in a slash", async () => {
    await refused(patched(await tarOf([HELLO]), 0, "hello/\0\0\0"), "bad-name", /slash/);
  });
});

describe("bombs are refused", () => {
  const many = (count: number, name: (index: number) => string): Written[] =>
    Array.from({ length: count }, (_, index) => ({ name: name(index), content: "x" }));

  test("by ratio", async () => {
    await refused(
      gzipSync(await tarOf([{ name: "zeros", content: Buffer.alloc(4_000_000) }])),
      "compression-ratio",
      /200/,
    );
  });
  test("by the size of one file, before it is read", async () => {
    const endless = patched(await tarOf([HELLO]), 124, "77777777777");
    await refused(endless, "file-too-large", /"hello.txt".*8589934591.*268435456/);
  });
  test("by the size of all files", async () => {
    await refused(await tarOf(many(5, String)), "too-many-bytes", /"4".*4 bytes/, { maximumBytes: 4 });
  });
  test("by hard links", async () => {
    const links = ["a", "b", "c"].map((name) => ({ name, type: "link", linkname: "hello.txt" }));
    await refused(await tarOf([HELLO, ...links]), "too-many-bytes", /"c"/, { maximumBytes: 15 });
  });
  test("by count", async () =>
    refused(await tarOf(many(5, String)), "too-many-entries", /"4".*4 entries/, { maximumEntries: 4 }));
  test("by folders that are only implied", async () => {
    await refused(await tarOf(many(2, (index) => `${index}/a/b/c`)), "too-many-entries", /entries/, {
      maximumEntries: 7,
    });
  });
  test("by depth", async () => refused(await tarOf(many(1, () => `${"a/".repeat(64)}b`)), "too-deep", /65 names.*64/));
  test("by the length of a name", async () =>
    refused(await tarOf(many(1, () => "n".repeat(256))), "path-too-long", /255/));
  test("by the length of a path", async () => {
    const path = Array.from({ length: 20 }, () => "n".repeat(200)).join("/");
    await refused(await tarOf(many(1, () => path)), "path-too-long", /3072/);
  });
  test("by the length of a link", async () => {
    const linkname = Array.from({ length: 20 }, () => "n".repeat(200)).join("/");
    await refused(await tarOf([{ name: "a", type: "symlink", linkname }]), "path-too-long", /"a".*3072/);
  });
  test("by headers that lead to no entry", async () => {
    await refused(
      await tarOf([{ ...HELLO, pax: { comment: "c".repeat(1_000_000) } }]),
      "malformed",
      /belong to no entry/,
    );
  });
  test("by zeros at the end", async () => {
    await refused(Buffer.concat([await tarOf([HELLO]), Buffer.alloc(1_000_000)]), "malformed", /belong to no entry/);
  });
});

describe("damage is refused", () => {
  test("an archive cut anywhere", async () => {
    const tar = await tarOf([HELLO, { name: "big", content: Buffer.alloc(3000, 1) }]);
    for (const length of [0, 1, 511, 512, 514, 1024, 1600, 3000, 4607, 4608, 5120, 5631]) {
      await refused(tar.subarray(0, length), "truncated", /too early/);
    }
    assert.equal(tar.byteLength, 5632);
  });
  test("a gzip cut anywhere", async () => {
    const archive = gzipSync(await tarOf([HELLO]));
    for (const length of [2, 10, 30, archive.byteLength - 1]) {
      await refused(archive.subarray(0, length), "truncated", /too early/);
    }
  });
  test("a gzip with a flipped bit", async () => {
    const archive = gzipSync(
      await tarOf([{ name: "a", content: Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i) % 251)) }]),
    );
    archive[archive.byteLength - 6]! ^= 1;
    await refused(archive, "malformed", /gzip data is damaged/);
  });
  test("a wrong checksum", async () => {
    const tar = await tarOf([HELLO]);
    tar[0]! ^= 1;
    await refused(tar, "malformed", /damaged/);
  });
  test("something that is no archive", async () => refused(Buffer.alloc(2000, "PK zip"), "malformed", /damaged/));
  test("garbage after the end", async () => {
    const tar = await tarOf([HELLO]);
    await refused(Buffer.concat([tar, Buffer.alloc(512, "x")]), "malformed", /something follows its end/);
    const late = Buffer.concat([tar, Buffer.alloc(1024)]);
    late[late.byteLength - 1] = 1;
    await refused(late, "malformed", /something follows its end/);
  });
  test("a second archive after the end", async () => {
    await refused(
      Buffer.concat([await tarOf([HELLO]), await tarOf([{ name: "b", content: "" }])]),
      "trailing-garbage",
      /"b"/,
    );
  });
  test("a header without an entry after the last", async () => {
    const tar = await tarOf([HELLO, { name: "x", content: "", pax: { comment: "c" } }]);
    const end = Buffer.concat([tar.subarray(0, 2048), Buffer.alloc(1024)]);
    await refused(end, "trailing-garbage", /after|follows/);
  });
  test("garbage after a gzip", async () => {
    const archive = gzipSync(await tarOf([HELLO]));
    await refused(Buffer.concat([archive, Buffer.alloc(100_000)]), "trailing-garbage", /gzip/);
    await refused(Buffer.concat([archive, Buffer.from("garbage")]), "malformed", /gzip/);
  });
  test("a negative and an impossible size", async () => {
    const negative = patched(await tarOf([HELLO]), 124, `\xff${"\xff".repeat(10)}\x01`);
    await refused(negative, "malformed", /damaged/);
    await refused(await tarOf([{ ...HELLO, pax: { size: "many" } }]), "malformed", /damaged/);
    await refused(patched(await tarOf([HELLO]), 124, "\xee0000000012 "), "malformed", /"hello.txt".*size/);
  });
});

describe("what is not the archive's fault is thrown, and leaves nothing either", () => {
  test("a source that breaks", async () => {
    await inTemporaryFolder(async (folder) => {
      const broken = new Error("the upload was cut");
      for (const compress of [Buffer.from, gzipSync]) {
        const archive = compress(await tarOf([HELLO, { name: "big", content: Buffer.alloc(50_000, "colibri 123") }]));
        const source = (async function* (): AsyncGenerator<Uint8Array> {
          yield archive.subarray(0, archive.byteLength / 2);
          throw broken;
        })();
        await assert.rejects(unpackArchive(source, join(folder, "app")), (error) => error === broken);
        assert.deepEqual(await readdir(folder), []);
      }
    });
  });

  test("an abort while the source says nothing", async () => {
    await inTemporaryFolder(async (folder) => {
      const abort = new AbortController();
      const reason = new Error("no longer wanted");
      const tar = await tarOf([{ name: "big", content: Buffer.alloc(50_000, 1) }]);
      const source = (async function* (): AsyncGenerator<Uint8Array> {
        yield tar.subarray(0, 20_000);
        abort.abort(reason);
        await new Promise(() => {});
      })();
      const unpacking = unpackArchive(source, join(folder, "app"), { signal: abort.signal });
      await assert.rejects(unpacking, (error) => error === reason);
      assert.deepEqual(await readdir(folder), []);
    });
  });

  test("a refusal ends the source, which is not read on", async () => {
    await inTemporaryFolder(async (folder) => {
      const tar = await tarOf([{ name: "../evil", content: Buffer.alloc(3_000_000, 1) }]);
      const ended = Promise.withResolvers<number>();
      const source = (async function* (): AsyncGenerator<Uint8Array> {
        let read = 0;
        try {
          for await (const chunk of inChunks(tar)) {
            read += chunk.byteLength;
            yield chunk;
          }
        } finally {
          ended.resolve(read);
        }
      })();
      assert.equal((await unpackArchive(source, join(folder, "app"))).kind, "refused");
      assert.ok((await ended.promise) < 1_000_000);
    });
  });

  test("a folder that exists already", async () => {
    await inTemporaryFolder(async (folder) => {
      await mkdir(join(folder, "app"));
      await assert.rejects(unpackArchive(inChunks(await tarOf([HELLO])), join(folder, "app")), /app exists/);
      assert.deepEqual(await readdir(join(folder, "app")), []);
    });
  });
});
