import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { watchFile, watchFolder } from "./watch.ts";

const PATIENCE_MS = 5_000;

/** A folder with these files, watched; `heard` waits for a path and forgets all that was heard until then. */
function watched(t: TestContext, files: Readonly<Record<string, string>>, folder = "") {
  const root = mkdtempSync(join(tmpdir(), "colibri-watch-"));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  let paths: string[] = [];
  const watcher = watchFolder(
    join(root, folder),
    { changed: (path) => paths.push(path), failed: (error) => assert.fail(error) },
    createSystemClock(),
  );
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
  const watcher = watchFile(
    join(root, "colibri.yaml"),
    {
      changed: () => {
        times++;
        resolve();
      },
      failed: (error) => assert.fail(error),
    },
    createSystemClock(),
  );
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

test("a folder that is gone, or not there yet, is heard of when it comes, and what happens in it then", async (t) => {
  const { root, write, heard } = watched(t, { "app/f/a.txt": "1" }, "app/f");
  rmSync(join(root, "app/f"), { recursive: true });
  await heard("");
  write("app/f/a.txt", "2");
  await heard("");
  write("app/f/a.txt", "3");
  await heard("a.txt");
  renameSync(join(root, "app"), join(root, "elsewhere"));
  await heard("");
  renameSync(join(root, "elsewhere"), join(root, "app"));
  await heard("");
  write("app/f/a.txt", "4");
  await heard("a.txt");
});

test("links are not followed, wherever they lead: what they make of a folder without end is not looked at", async (t) => {
  const { root, write, heard } = watched(t, { "f/a.txt": "1", "outside/o.txt": "1" }, "f");
  symlinkSync("/", join(root, "f/all"));
  symlinkSync("..", join(root, "f/above"));
  symlinkSync("../outside", join(root, "f/outside"));
  write("f/a.txt", "2");
  assert.deepEqual((await heard("a.txt")).sort(), ["a.txt", "above", "all", "outside"]);
  write("outside/o.txt", "2");
  write("f/a.txt", "3");
  assert.deepEqual(await heard("a.txt"), ["a.txt"]);
});

test("a file whose folder goes and comes is heard of again", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "colibri-watch-"));
  t.after(() => rmSync(root, { recursive: true }));
  let heard = Promise.withResolvers<string>();
  const events = { changed: (path: string) => heard.resolve(path), failed: assert.fail };
  const watcher = watchFile(join(root, "app", "colibri.yaml"), events, createSystemClock());
  t.after(() => watcher.close());
  for (const text of ["made", "written"]) {
    mkdirSync(join(root, "app"), { recursive: true });
    writeFileSync(join(root, "app", "colibri.yaml"), text);
    // The clock's timers do not keep the test alive.
    const alive = setInterval(() => {}, 1_000);
    assert.equal(await heard.promise, "colibri.yaml");
    clearInterval(alive);
    heard = Promise.withResolvers<string>();
  }
});
