import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { packTar } from "#guest/testing/pack-tar.ts";
import { TarError } from "./bundle-tree.ts";
import { TarReader } from "./tar-reader.ts";

function collect() {
  const links: Record<string, string> = {};
  const files: Record<string, string> = {};
  const folders: string[] = [];
  let open = "";
  let left = 0;
  const reader = new TarReader({
    folder: (path) => folders.push(path),
    file(path, size) {
      open = path;
      left = size;
      files[path] = "";
    },
    write(bytes) {
      files[open] += bytes.toString("latin1");
      left -= bytes.length;
    },
    fileEnd: () => assert.equal(left, 0),
    link(path, target) {
      links[path] = target;
    },
    hardLink(path, target) {
      assert.ok(target in files);
      files[path] = files[target]!;
    },
  });
  return { reader, files, folders, links };
}

const FILES = {
  "a.txt": "a",
  "empty.txt": "",
  "deep/b.bin": "b".repeat(512),
  " spaces around .txt ": "s",
  [`${"long/".repeat(30)}c`]: "c".repeat(1_300),
};

test("reads the same files however the archive is cut", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = createSeededRandom(seed);
  const tar = packTar(FILES, [{ path: "folder/", type: "5" }]);
  for (let round = 0; round < 50; round++) {
    const { reader, files, folders } = collect();
    for (let from = 0; from < tar.length; ) {
      const size = 1 + random.below(round === 0 ? 1 : 2_000);
      reader.push(Buffer.from(tar.subarray(from, from + size)));
      from += size;
    }
    reader.finish();
    assert.deepEqual(files, FILES, `SEED=${seed}, round ${round}`);
    assert.deepEqual(folders, ["folder"]);
  }
});

test("takes links that stay inside, in their shortest form, also before what they lead to", () => {
  const long = `../${"l".repeat(120)}/run.js`;
  const { reader, files, links } = collect();
  const more = [
    { path: "node_modules/.bin/tool", type: "2", link: "../tool/./bin//tool.js" },
    { path: "node_modules/.bin/long", type: "2", link: long },
    { path: "self", type: "2", link: "." },
    { path: "deep/again", type: "1", link: "./a.txt" },
    { path: "deep/b.txt", type: "0" },
  ];
  reader.push(packTar({ "a.txt": "a" }, more));
  reader.finish();
  assert.deepEqual(links, {
    "node_modules/.bin/tool": "../tool/bin/tool.js",
    "node_modules/.bin/long": long,
    self: ".",
  });
  assert.deepEqual(files, { "a.txt": "a", "deep/again": "a", "deep/b.txt": "" });
});

test("refuses what leads out, devices, and what is cut short", () => {
  const paths = ["../x", "/x", "a/../../x", "a\\..\\x"];
  for (const path of paths) assert.throws(() => collect().reader.push(packTar({ [path]: "" })), TarError, path);
  for (const type of ["3", "4", "6", "L"])
    assert.throws(() => collect().reader.push(packTar({}, [{ path: "x", type, link: "/etc/passwd" }])), TarError, type);
  const tar = packTar(FILES);
  for (const size of [0, 100, 512, 700, tar.length - 1_024]) {
    const { reader } = collect();
    reader.push(tar.subarray(0, size));
    assert.throws(() => reader.finish(), /cut short/, String(size));
  }
});

test("fuzz: a changed archive is read or refused with a TarError, and never leads out", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = createSeededRandom(seed);
  const tar = packTar(FILES, [
    { path: "deep/link", type: "2", link: "../a.txt" },
    { path: "deep/hard", type: "1", link: "a.txt" },
    { path: "deep/more/last.txt", type: "0" },
  ]);
  for (let round = 0; round < 500; round++) {
    const bytes = Buffer.from(tar);
    for (let count = random.below(6); count >= 0; count--) bytes[random.below(bytes.length)] = random.below(256);
    const { reader, files, links } = collect();
    try {
      reader.push(bytes);
      reader.finish();
    } catch (error) {
      assert.ok(error instanceof TarError, `SEED=${seed}, round ${round}: ${error}`);
    }
    for (const path of [...Object.keys(files), ...Object.keys(links)]) {
      assert.ok(!path.startsWith("/") && !path.split("/").includes(".."), path);
      for (const link of Object.keys(links)) assert.ok(!path.startsWith(`${link}/`), `${path} below ${link}`);
    }
    for (const [path, target] of Object.entries(links))
      assert.ok(join("/r", path, "..", target).startsWith("/r"), path);
  }
});
