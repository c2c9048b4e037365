// Runs each example's own tests, and holds what its colibri.yaml and README say to what is there.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import ignore from "ignore";
import { parse } from "yaml";

type AppFile = { app: string; functions: Record<string, { runtime: string; source?: string; handler: string }> };

const examples = import.meta.dirname;
const checkout = dirname(examples);
const apps = globSync("*/colibri.yaml", { cwd: examples }).map((path) => join(examples, dirname(path)));
const functions = apps.flatMap((folder) => {
  const { app, functions } = parse(readFileSync(join(folder, "colibri.yaml"), "utf8")) as AppFile;
  return Object.entries(functions).map(([name, given]) => ({
    address: `/fn/${app}/${name}`,
    handler: given.handler,
    folder: join(folder, given.source ?? name),
  }));
});

const hasPython = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).status === 0;
const withoutPython = !hasPython && "python3 (3.11 or later) is not on this machine";

/** Runs to the end; what it printed is the message if it fails. */
async function run(command: string, args: string[], cwd: string): Promise<string> {
  const env = { ...process.env };
  // Else a `node --test` inside this one reports to it rather than in words.
  delete env.NODE_TEST_CONTEXT;
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr.on("data", (chunk) => {
    output += chunk;
  });
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  assert.equal(code, 0, `${command} ${args.join(" ")} in ${cwd} failed:\n${output}`);
  return output;
}

async function runNodeTests(folder: string): Promise<void> {
  const files = globSync("*.test.{mjs,ts}", { cwd: folder });
  assert.ok(files.length > 0, `${folder} has tests`);
  const output = await run(process.execPath, ["--test", "--test-reporter=tap", ...files], folder);
  assert.match(output, /^# pass [1-9]/m, output);
  assert.match(output, /^# skipped 0$/m, output);
}

for (const name of ["hello/hello", "hello/greet", "thumbnails/inspect"]) {
  test(`the tests of ${name}`, () => runNodeTests(join(examples, name)));
}

test("the tests of thumbnails/thumbnail, with what its lock file installs", async (t) => {
  const copy = mkdtempSync(join(tmpdir(), "colibri-examples-"));
  t.after(() => rmSync(copy, { recursive: true, force: true }));
  const folder = join(copy, "examples/thumbnails/thumbnail");
  const installed = join(examples, "thumbnails/thumbnail/node_modules");
  cpSync(join(examples, "thumbnails/thumbnail"), folder, { recursive: true, filter: (path) => path !== installed });
  cpSync(join(checkout, "test/fixtures/media"), join(copy, "test/fixtures/media"), { recursive: true });
  await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder);
  await runNodeTests(folder);
});

for (const name of ["summary/summarise", "summary/transform", "hello/hello-python"]) {
  test(`the tests of ${name}`, { skip: withoutPython }, async () => {
    const output = await run("python3", ["-B", "-m", "unittest"], join(examples, name));
    assert.match(output, /^Ran [1-9]/m, output);
  });
}

test("every function has its handler, and its tests stay out of the bundle", () => {
  assert.ok(functions.length > 0);
  for (const { folder, handler } of functions) {
    const rules = ignore().add(readFileSync(join(folder, ".colibriignore"), "utf8"));
    assert.ok(existsSync(join(folder, handler)) && !rules.ignores(handler), `${folder} has ${handler}`);
    const tests = globSync("{*.test.*,test_*}", { cwd: folder });
    assert.ok(tests.length > 0, `${folder} has tests`);
    for (const file of tests) assert.ok(rules.ignores(file), `${folder}/.colibriignore leaves out ${file}`);
  }
});

test("every README deploys its folder and calls functions that exist with files that exist", () => {
  const addresses = new Set(functions.map(({ address }) => address));
  for (const folder of apps) {
    const readme = readFileSync(join(folder, "README.md"), "utf8");
    assert.ok(readme.includes(`npx colibri deploy examples/${basename(folder)}\n`), `${folder}/README.md deploys it`);
    const called = [...readme.matchAll(/\/fn\/[\w-]+\/[\w-]+/g)].map(([address]) => address);
    assert.ok(called.length > 0, `${folder}/README.md calls a function`);
    for (const address of called) assert.ok(addresses.has(address), `${folder}/README.md calls ${address}`);
    for (const [, file] of readme.matchAll(/@([\w./-]+)/g)) {
      assert.ok(existsSync(join(checkout, file!)), `${folder}/README.md sends ${file}`);
    }
  }
});

test("the lock file names no registry, and is whole", () => {
  const lock = JSON.parse(readFileSync(join(examples, "thumbnails/thumbnail/package-lock.json"), "utf8"));
  for (const [path, entry] of Object.entries<Record<string, unknown>>(lock.packages)) {
    if (path === "") continue;
    assert.equal(entry.resolved, undefined, `${path} names a registry`);
    assert.equal(typeof entry.integrity, "string", `${path} has no integrity`);
  }
});
