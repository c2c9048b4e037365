import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { groupShipped } from "./build/shipped.ts";
import { warningsAbout } from "./build/warnings.ts";
import { EXIT } from "./failure.ts";
import { colibri, onTerminal, temporaryFolder } from "./fixture/run.ts";

const APP = "app: shop\nfunctions:\n  cart: { runtime: nodejs }\n  pay: { runtime: nodejs, handler: pay.ts }\n";
const CODE = {
  "colibri.yaml": APP,
  "cart/index.mjs": "export default () => 1;\n",
  "cart/.env": "TOKEN=x\n",
  "cart/node_modules/x/index.js": "",
  "pay/pay.ts": "export default (): number => 1;\n",
  "pay/pay.test.ts": "",
};

function write(folder: string, files: Readonly<Record<string, string>>): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

describe("colibri build", () => {
  test("shows what would ship, what is left out and what should not ship, and leaves nothing behind", async (context) => {
    const folder = write(temporaryFolder(context), CODE);
    const scratch = temporaryFolder(context);
    const { code, out, err } = await colibri(["build"], { cwd: folder, env: { TMPDIR: scratch } });
    assert.equal(code, 0, err);
    assert.match(
      out,
      /^cart {2}nodejs {2}index\.mjs\n +24 B {2}index\.mjs\n +8 B {2}\.env\n +32 B {2}in all, 2 files\n/,
    );
    assert.match(out, /\n {2}bundle {3}3\.0 KiB, sha256:[0-9a-f]{64}\n {2}left out node_modules\/\n/);
    assert.match(out, /warning: \.env may hold secrets/);
    assert.match(out, /pay {2}nodejs {2}pay\.ts\n(?:.*\n)*? {2}warning: 1 test file \(pay\.test\.ts\)/);
    assert.match(err, /^cart: Unpacking the source$/m);
    assert.match(err, /^pay: Built in [\d.]+s/m);
    assert.deepEqual(readdirSync(scratch), []);
  });

  test("writes a bundle that is what its digest says, the same as in the report", async (context) => {
    const folder = write(temporaryFolder(context), CODE);
    const args = ["build", "--function", "pay", "--output", "out/pay.tar", "--json"];
    const { code, out, err } = await onTerminal(args, { cwd: folder });
    assert.equal(code, 0, err);
    const { app, functions } = JSON.parse(out);
    assert.deepEqual([app, functions.length, functions[0].function], ["shop", 1, "pay"]);
    const bundle = readFileSync(join(folder, "out/pay.tar"));
    assert.equal(functions[0].digest, `sha256:${createHash("sha256").update(bundle).digest("hex")}`);
    assert.equal(functions[0].bytes, bundle.byteLength);
    assert.deepEqual(readdirSync(join(folder, "out")), ["pay.tar"]);
    assert.deepEqual(functions[0].contents.map(({ name }: { name: string }) => name).sort(), [
      "pay.mjs",
      "pay.mjs.map",
      "pay.test.ts",
      "pay.ts",
    ]);
  });

  test("a build that fails says which function, why and what to do", async (context) => {
    const folder = write(temporaryFolder(context), { ...CODE, "cart/package.json": '{"dependencies":{"x":"1"}}' });
    const { code, out, err } = await onTerminal(["build"], { cwd: folder });
    assert.deepEqual([code, out], [EXIT.failure, ""]);
    assert.match(
      err,
      /cart can't be built: package.json names dependencies \(x\).*run "npm install".*\[dependencies-failed\]/,
    );
  });

  test("wrong use is told before anything is built", async (context) => {
    const folder = write(temporaryFolder(context), CODE);
    const unknown = await onTerminal(["build", "--function", "nope"], { cwd: folder });
    assert.equal(unknown.code, EXIT.notFound);
    assert.match(unknown.err, /no function nope in colibri.yaml: it has cart, pay/);
    const several = await onTerminal(["build", "-o", "x.tar"], { cwd: folder });
    assert.equal(several.code, EXIT.usage);
    assert.match(several.err, /the app has 2: choose with --function/);
  });
});

const file = (path: string, bytes = 1) => ({ kind: "file" as const, path, bytes, executable: false });

test("packages count as one, largest first", () => {
  const entries = [
    file("index.mjs", 10),
    file("node_modules/a/x.js", 4),
    file("node_modules/a/node_modules/b/y.js", 8),
    file("node_modules/@s/c/z.node", 100),
    { kind: "symlink" as const, path: "node_modules/.bin/a", target: "../a/x.js" },
    file("_packages/p/__init__.py", 3),
  ];
  assert.deepEqual(
    groupShipped(entries).map(({ name, bytes, files }) => [name, bytes, files]),
    [
      ["node_modules/@s/c", 100, 1],
      ["node_modules/a", 12, 2],
      ["index.mjs", 10, 1],
      ["_packages/p", 3, 1],
      ["node_modules/.bin", 0, 1],
    ],
  );
});

test("warnings are about what is there, and not about what belongs", () => {
  const about = (paths: readonly string[], packageJson?: string) =>
    warningsAbout({ entries: paths.map((path) => file(path)), packageJson, handler: "index.ts" });
  assert.deepEqual(
    about([
      ...["index.ts", "index.mjs", "index.mjs.map", ".env.example", "latest.js", "contest/a.js", "monkey.js"],
      ...["node_modules/a/test/a.test.js", "node_modules/a/a.js.map", "node_modules/a/cert.pem", "node_modules/a/.env"],
    ]),
    [],
  );
  const found: [string, RegExp][] = [
    ["a/.env.local", /^a\/\.env\.local may hold secrets/],
    ["server.key", /^server\.key may hold secrets/],
    ["tests/a.js", /^1 test file \(tests\/a\.js\)/],
    ["test_a.py", /^1 test file/],
    ["a.js.map", /^1 source map, 1 B \(a\.js\.map\)/],
    ["node_modules/typescript/x.js", /^node_modules\/typescript: made for development/],
    ["_packages/pytest/x.py", /^_packages\/pytest: made for development/],
    ["node_modules/own/x.js", /^node_modules\/own: made for development/],
  ];
  for (const [path, message] of found) {
    const warnings = about([path], '{"devDependencies":{"own":"1"}}');
    assert.equal(warnings.length, 1, path);
    assert.match(warnings[0]!, message);
  }
});
