import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { watchFile, watchFolder } from "./watcher.ts";

const PATIENCE_MS = 5_000;

/** A folder with these files, watched; `heard` waits for a path and forgets all that was heard until then. */
function watched(t: TestContext, files: Readonly<Record<string, string>>) {
  const root = mkdtempSync(join(tmpdir(), "colibri-watcher-"));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  let paths: string[] = [];
  const watcher = watchFolder(root, { changed: (path) => paths.push(path), failed: (error) => assert.fail(error) });
  t.after(() => {
    watcher.close();
    rmSync(root, { recursive: true });
  });
  async function heard(path: string): Promise<string[]> {
    const end = performance.now() + PATIENCE_MS;
    while (!paths.includes(path)) {
      assert.ok(performance.now() < end, `${path} was not heard of, but ${paths.join(", ") || "nothing"}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const all = [...new Set(paths)];
    paths = [];
    return all;
  }
  return { root, write, heard };
}

test("files in folders are heard of, also where a folder is made, moved in or replaced by another", async (t) => {
  const { root, write, heard } = watched(t, { "a/b/old.txt": "", "elsewhere/new.txt": "" });
  write("a/b/old.txt", "1");
  await heard("a/b/old.txt");
  write("made/deep/er/file.txt", "1");
  await heard("made");
  write("made/deep/er/file.txt", "2");
  await heard("made/deep/er/file.txt");
  renameSync(join(root, "a"), join(root, "gone"));
  renameSync(join(root, "elsewhere"), join(root, "a"));
  await heard("a");
  write("a/new.txt", "1");
  await heard("a/new.txt");
  rmSync(join(root, "a/new.txt"));
  await heard("a/new.txt");
});

test("what a deployment leaves out is not heard of; when the rules change, so does that", async (t) => {
  const { write, heard } = watched(t, {
    ".colibriignore": "notes/\n*.log\n",
    "notes/x": "",
    "sub/.colibriignore": "only-here\n",
  });
  write("notes/x", "1");
  write("a.log", "1");
  write(".git/index", "1");
  write("sub/only-here", "1");
  write("only-here", "1");
  assert.deepEqual(await heard("only-here"), ["only-here"]);
  write(".colibriignore", "*.txt\n");
  await heard(".colibriignore");
  write("b.txt", "1");
  write("notes/x", "2");
  assert.deepEqual(await heard("notes/x"), ["notes/x"]);
});

test("of node_modules only what says that somebody has installed", async (t) => {
  const { root, write, heard } = watched(t, { "node_modules/left/index.js": "" });
  write("node_modules/left/index.js", "1");
  write("node_modules/right/index.js", "1");
  write("node_modules/.package-lock.json", "{}");
  assert.deepEqual(await heard("node_modules/.package-lock.json"), ["node_modules/.package-lock.json"]);
  rmSync(join(root, "node_modules"), { recursive: true });
  write("aside/.modules.yaml", "");
  await heard("aside");
  renameSync(join(root, "aside"), join(root, "node_modules"));
  await heard("node_modules");
});

test("a file is heard of when it is written, and when an editor puts another in its place", async (t) => {
  const { root, write } = watched(t, { "colibri.yaml": "1", "other.yaml": "1" });
  let times = 0;
  let resolve = () => {};
  const watcher = watchFile(join(root, "colibri.yaml"), {
    changed: () => {
      times++;
      resolve();
    },
    failed: (error) => assert.fail(error),
  });
  t.after(() => watcher.close());
  const again = () =>
    new Promise<void>((done) => {
      resolve = done;
    });
  let heard = again();
  write("other.yaml", "2");
  write("colibri.yaml", "2");
  await heard;
  await new Promise((done) => setImmediate(done));
  heard = again();
  write("aside", "3");
  renameSync(join(root, "aside"), join(root, "colibri.yaml"));
  await heard;
  assert.ok(times >= 2);
});

test("a file that can't be watched is told of, not thrown", (t) => {
  const { root } = watched(t, {});
  const failed: (string | undefined)[] = [];
  const events = {
    changed: () => assert.fail("nothing has changed"),
    failed: ({ code }: NodeJS.ErrnoException) => failed.push(code),
  };
  const watcher = watchFile(join(root, "absent", "colibri.yaml"), events);
  assert.deepEqual(failed, ["ENOENT"]);
  watcher.close();
});
