import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { inTemporaryFolder } from "./archive.fixture.ts";
import { ARCHIVE_LIMITS } from "./limits.ts";
import type { RefusalReason } from "./refusal.ts";
import { type WalkOptions, walkFolder } from "./walk.ts";

async function make(folder: string, files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

async function pathsOf(folder: string, options?: WalkOptions): Promise<string[]> {
  const walked = await walkFolder(folder, options);
  assert.equal(walked.kind, "walked", walked.kind === "refused" ? walked.message : "");
  return walked.entries.map((entry) => entry.path);
}

async function refused(folder: string, reason: RefusalReason, message: RegExp, options?: WalkOptions): Promise<void> {
  const walked = await walkFolder(folder, options);
  assert.equal(walked.kind, "refused", "it was walked");
  assert.equal(walked.reason, reason, walked.message);
  assert.match(walked.message, message);
}

test("files and links are found, sorted, with sizes and their sum", async () => {
  await inTemporaryFolder(async (folder) => {
    await make(folder, { b: "12", "a/z": "123", "a-b": "1", ä: "" });
    await chmod(join(folder, "b"), 0o744);
    await mkdir(join(folder, "empty"));
    await symlink("../b", join(folder, "a", "link"));
    assert.deepEqual(await walkFolder(folder), {
      kind: "walked",
      bytes: 6,
      ignored: [],
      entries: [
        { kind: "file", path: "a-b", bytes: 1, executable: false },
        { kind: "symlink", path: "a/link", target: "../b" },
        { kind: "file", path: "a/z", bytes: 3, executable: false },
        { kind: "file", path: "b", bytes: 2, executable: true },
        { kind: "file", path: "ä", bytes: 0, executable: false },
      ],
    });
  });
});

test("what tools make is left out, at any depth, unless all is wanted", async () => {
  await inTemporaryFolder(async (folder) => {
    await make(folder, {
      "index.mjs": "",
      ".git/HEAD": "",
      "lib/node_modules/x/index.js": "",
      "lib/__pycache__/a.bin": "",
      "lib/a.pyc": "",
      ".venv/bin/python": "",
      ".DS_Store": "",
      ".colibri/state": "",
      ".pytest_cache/x": "",
    });
    assert.deepEqual(await pathsOf(folder), ["index.mjs"]);
    assert.equal((await pathsOf(folder, { ignoring: "nothing" })).length, 9);
  });
});

test("the app's own files are no code, unless an ignore file says so; copies of the app have them", async () => {
  await inTemporaryFolder(async (folder) => {
    const own = ["colibri.schema.json", "colibri.test.yaml", "colibri.yaml"];
    await make(folder, {
      "index.mjs": "",
      "lib/colibri.yaml": "",
      ...Object.fromEntries(own.map((name) => [name, ""])),
    });
    assert.deepEqual(await pathsOf(folder), ["index.mjs", "lib/colibri.yaml"]);
    assert.deepEqual(await pathsOf(folder, { ignoring: "made" }), [...own, "index.mjs", "lib/colibri.yaml"]);
    await make(folder, { ".colibriignore": "!colibri.yaml\n" });
    assert.deepEqual(await pathsOf(folder), [".colibriignore", "colibri.yaml", "index.mjs", "lib/colibri.yaml"]);
  });
});

test("without ignore files' own rules, only what tools make is left out", async () => {
  await inTemporaryFolder(async (folder) => {
    await make(folder, { ".colibriignore": "*.test.mjs\n", "a.test.mjs": "", ".git/HEAD": "" });
    assert.deepEqual(await pathsOf(folder, { ignoring: "made" }), [".colibriignore", "a.test.mjs"]);
  });
});

test("ignore files decide as git's do: git agrees", async () => {
  await inTemporaryFolder(async (folder) => {
    const ignoreFiles = {
      ".colibriignore":
        "*.log\n!keep.log\n/top\nbuild/\ndocs/*.md\n# comment\n\n!node_modules/\nnode_modules/*\n!node_modules/mine\nfoo/\n",
      "sub/.colibriignore": "!*.log\r\n/only-here\nfloating\n\\#hash\ndeep/**/x\n!foo/\nbuild2/\n",
      "w[1]/.colibriignore": "*.txt\n!b.txt\n",
    };
    const files = [
      ...["a.log", "keep.log", "top", "sub/top", "build/x", "sub/build/x", "docs/a.md", "docs/in/a.md", "A.LOG"],
      ...["node_modules/mine/i.js", "node_modules/other/i.js", "foo/x", "sub/foo/x", "sub/a.log", "sub/only-here"],
      ...[
        "sub/in/only-here",
        "sub/in/floating",
        "floating",
        "sub/#hash",
        "sub/deep/x",
        "sub/deep/a/b/x",
        "sub/build2",
        "other/build2/x",
      ],
      ...["sub/s/build2/x", "w[1]/a.txt", "w[1]/b.txt", "w1/a.txt"],
    ];
    await make(folder, Object.fromEntries(files.map((path) => [path, ""])));
    await make(folder, ignoreFiles);
    const git = (...args: string[]): string => execFileSync("git", ["-C", folder, ...args], { encoding: "utf8" });
    git("init", "--quiet");
    const arguments_ = ["--others", "--cached", "-z", "--exclude-per-directory=.colibriignore"];
    const expected = git("ls-files", ...arguments_)
      .split("\0")
      .filter(Boolean)
      .sort();
    assert.deepEqual(await pathsOf(folder), expected);
    assert.ok(expected.includes("sub/foo/x") && !expected.includes("foo/x"));
  });
});

test("an ignored folder is not even read, so nothing in it is refused", async () => {
  await inTemporaryFolder(async (folder) => {
    await make(folder, { ".colibriignore": "private\n", "private/x": "" });
    await symlink("/etc", join(folder, "private", "etc"));
    assert.deepEqual(await pathsOf(folder), [".colibriignore"]);
    const walked = await walkFolder(folder);
    assert.deepEqual(walked.kind === "walked" && walked.ignored, ["private/"]);
  });
});

test("links that lead outside are refused by name", async () => {
  for (const target of ["/etc/passwd", "../x", "..", "a/../../x"]) {
    await inTemporaryFolder(async (folder) => {
      await symlink(target, join(folder, "link"));
      await refused(folder, "link-outside", /"link" is refused: it is a link to /);
    });
  }
});

test("fifos, sockets and devices are refused by name", async () => {
  await inTemporaryFolder(async (folder) => {
    execFileSync("mkfifo", [join(folder, "pipe")]);
    await refused(folder, "special-file", /"pipe" is refused: it is a fifo/);
  });
  await inTemporaryFolder(async (folder) => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(join(folder, "socket"), listening));
    await refused(folder, "special-file", /"socket" is refused: it is a socket/);
    await new Promise((closed) => server.close(closed));
  });
});

test("names that no archive may have are refused", async () => {
  await inTemporaryFolder(async (folder) => {
    await writeFile(Buffer.concat([Buffer.from(`${folder}/bad`), Buffer.of(0xff)]), "");
    await refused(folder, "bad-name", /"bad\uFFFD".*UTF-8/);
  });
  await inTemporaryFolder(async (folder) => {
    await writeFile(join(folder, "a\\b"), "");
    await refused(folder, "bad-name", /backslash/);
  });
});

test("too much is refused before it is read", async () => {
  await inTemporaryFolder(async (folder) => {
    await make(folder, { a: "12345", b: "12345" });
    await refused(folder, "file-too-large", /"a".*5 bytes.*4/, { limits: { ...ARCHIVE_LIMITS, maximumFileBytes: 4 } });
    await refused(folder, "too-many-bytes", /9 bytes/, { limits: { ...ARCHIVE_LIMITS, maximumBytes: 9 } });
    await refused(folder, "too-many-entries", /1 files/, { limits: { ...ARCHIVE_LIMITS, maximumEntries: 1 } });
  });
});

test("what can't be read is refused by name", async (context) => {
  await inTemporaryFolder((folder) => refused(join(folder, "missing"), "unreadable", /missing.*ENOENT/));
  await inTemporaryFolder(async (folder) => {
    await make(folder, { secret: "s", "closed/x": "" });
    await chmod(folder, 0o755);
    await chmod(join(folder, "secret"), 0);
    await asNobody(() => refused(folder, "unreadable", /"secret".*EACCES/));
    await chmod(join(folder, "secret"), 0o644);
    await chmod(join(folder, "closed"), 0);
    await asNobody(() => refused(folder, "unreadable", /"closed".*EACCES/));
    await chmod(join(folder, "closed"), 0o755);
    context.diagnostic("read as another user where this one is root");
  });
});

/** Root may read everything, so root becomes nobody for a moment. */
async function asNobody(run: () => Promise<void>): Promise<void> {
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65_534);
  try {
    await run();
  } finally {
    if (root) process.seteuid?.(0);
  }
}
