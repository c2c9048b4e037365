import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createSilentLog } from "#base/log.ts";
import { makeReadOnly, removeTree } from "./bundle-folder.ts";
import { COMPILE_CACHE, createCompileCache } from "./compile-cache.ts";

const LOADER = pathToFileURL(fileURLToPath(import.meta.resolve("#guest/node/loader.ts"))).href;
const compiled = createCompileCache(
  { log: createSilentLog() },
  { node: process.execPath, guestUid: 1_000, minimumBytes: 1_000 },
);
const never = new AbortController().signal;
let home: string;
let folder: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "colibri-compiled-"));
  chmodSync(home, 0o755);
  folder = join(home, "bundle");
  mkdirSync(join(folder, "lib"), { recursive: true });
});
afterEach(async () => {
  await removeTree(home);
  rmSync(home, { recursive: true, force: true });
});

const source = (name: string, more = "") =>
  `import "./lib/${name}.mjs";\n${more}\nexport default () => 1;\n${"// long\n".repeat(200)}`;
const write = (path: string, text: string) => writeFileSync(join(folder, path), text);

function writeBundle(more = ""): void {
  write("index.mjs", source("a", more));
  write("lib/a.mjs", "export const a = () => 1;");
}

/** What Node says of compiled code when the guest's loader loads the bundle in `place`, as that user. */
function load(place: string, uid?: number): { accepted: number; enabled: boolean } {
  const run = [
    `const { loadFunction } = await import(${JSON.stringify(LOADER)});`,
    uid === undefined ? "" : `process.setgroups([]); process.setgid(${uid}); process.setuid(${uid});`,
    `await loadFunction(${JSON.stringify(place)}, "index.mjs"); console.log("loaded");`,
  ];
  const options = { env: { NODE_DEBUG_NATIVE: "COMPILE_CACHE" }, encoding: "utf8", timeout: 20_000 } as const;
  const args = ["--input-type=module", "--eval", run.join("\n")];
  const { stdout, stderr } = spawnSync(process.execPath, args, options);
  const said = stdout + stderr;
  assert.match(said, /^loaded$/m);
  return { accepted: said.split("was accepted").length - 1, enabled: said.includes("reading cache") };
}

/** As in a sandbox: another path, that nobody can write to. */
function withMounted(run: (place: string) => void): void {
  const place = join(home, "code");
  mkdirSync(place);
  execFileSync("mount", ["--bind", folder, place]);
  try {
    execFileSync("mount", ["-o", "remount,ro,bind", place]);
    run(place);
  } finally {
    execFileSync("umount", ["--lazy", place]);
  }
}

const isRoot = process.getuid?.() === 0;

test("a guest of another user, at another path, takes what was compiled of a bundle and of what it imports", async (t) => {
  if (!isRoot) return t.skip("needs root, to mount and to be somebody else");
  writeBundle();
  assert.ok((await compiled.make(folder, never)) > 0);
  await makeReadOnly(folder);
  withMounted((place) => {
    assert.equal(load(place).accepted, 2);
    assert.equal(load(place, 1_000).accepted, 2);
  });
});

test("where a guest could write it, it is not taken", async (t) => {
  if (!isRoot) return t.skip("needs root, who can write what is read-only");
  writeBundle();
  await compiled.make(folder, never);
  await makeReadOnly(folder);
  assert.deepEqual(load(folder), { accepted: 0, enabled: false });
});

test("no code of the bundle runs when it is compiled, and nothing outside of it is read", async () => {
  // Where the compiler may write.
  const ran = join(folder, COMPILE_CACHE, "ran");
  const outside = join(home, "outside.mjs");
  writeFileSync(outside, `globalThis.a = "outside marker";`);
  write("lib/b.mjs", `import ${JSON.stringify(pathToFileURL(outside).href)};`);
  write("reads.mjs", source("b"));
  writeBundle(
    `import { writeFileSync } from "node:fs"; globalThis.a = "inside marker"; writeFileSync(${JSON.stringify(ran)}, "");`,
  );
  const bytes = await compiled.make(folder, never);
  assert.ok(bytes > 0);
  assert.ok(!existsSync(ran));
  const files = readdirSync(join(folder, COMPILE_CACHE), { recursive: true, withFileTypes: true });
  const written = files
    .filter((file) => file.isFile())
    .map((file) => readFileSync(join(file.parentPath, file.name), "latin1"));
  assert.ok(written.some((text) => text.includes("inside marker")));
  assert.ok(!written.some((text) => text.includes("outside marker")));
});

test("a syntax error, nothing to compile, little to compile, a hurry: no cache, and no failure", async () => {
  write("index.mjs", `export default (\n${"// long\n".repeat(200)}`);
  await compiled.make(folder, never);
  write("index.mjs", "export default 1;");
  await compiled.clear(folder);
  assert.equal(await compiled.make(folder, never), 0);
  writeBundle();
  const hurry = new AbortController();
  const making = compiled.make(folder, hurry.signal);
  while (!existsSync(join(folder, COMPILE_CACHE))) await new Promise((resolve) => setImmediate(resolve));
  hurry.abort();
  assert.equal(await making, 0);
  assert.ok(!existsSync(join(folder, COMPILE_CACHE)));
});

test("what an archive brings under its name goes", async () => {
  mkdirSync(join(folder, COMPILE_CACHE));
  write(`${COMPILE_CACHE}/evil`, "x");
  await compiled.clear(folder);
  assert.ok(!existsSync(join(folder, COMPILE_CACHE)));
});
