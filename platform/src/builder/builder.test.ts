import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { tarOf } from "./archive/archive.fixture.ts";
import { ARCHIVE_LIMITS } from "./archive/limits.ts";
import { type Files, gone, inWorkshop, locked, publishNpm, type Workshop } from "./builder.fixture.ts";
import { exists } from "./exists.ts";
import { blobs, failureOf, HANDLER, inShop, PATH, registry } from "./shop.fixture.ts";

describe("bundles", () => {
  test("are the same for the same files, in whatever order they came", () =>
    inShop(async (shop) => {
      const one = await shop.build({ ...HANDLER, "a/b.txt": "b" });
      const two = await shop.build({ "a/b.txt": "b", ...HANDLER });
      assert.deepEqual(one, two);
      assert.deepEqual([...(await shop.open(one)).keys()], ["a/b.txt", "index.mjs"]);
      assert.equal((await blobs.stat("acme", one.digest))?.bytes, one.bytes);
      assert.notEqual((await shop.build({ ...HANDLER, "a/b.txt": "c" })).digest, one.digest);
    }));

  test("a handler that is not there is answered with what is", () =>
    inShop(async (shop) => {
      const failure = await failureOf(shop.build({ ...HANDLER, "lib/x.mjs": "" }, { handler: "main.mjs" }));
      assert.equal(
        failure,
        'build-failed: There is no file "main.mjs", which the handler names. The folder has index.mjs, lib/.',
      );
      assert.match(await failureOf(shop.build(HANDLER, { handler: "../index.mjs" })), /must lie inside/);
    }));

  test("a source that is not stored is not found", () =>
    inShop(async (shop) => {
      const nowhere = shop.buildSource(`sha256:${"0".repeat(64)}`);
      assert.match(await failureOf(nowhere), /^not-found: The source sha256:0+ is not there any more/);
      assert.match(
        await failureOf(shop.build(HANDLER, { runtime: "ruby" })),
        /^runtime-unknown: There is no runtime "ruby"/,
      );
    }));

  test("hostile and too large archives are refused by their own codes", () =>
    inShop(
      async (shop) => {
        const escaping = await tarOf([{ name: "../x", content: "x" }]);
        assert.match(
          await failureOf(shop.buildArchive(escaping)),
          /^archive-unsafe: The source archive can't be unpacked: "..\/x"/,
        );
        const many: Files = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`f${index}`, ""]));
        assert.match(await failureOf(shop.build({ ...HANDLER, ...many })), /^archive-too-large: .*more than 20/);
        assert.match(await failureOf(shop.buildArchive(Buffer.from("no tar"))), /^archive-unsafe: /);
      },
      { limits: { archive: { ...ARCHIVE_LIMITS, maximumEntries: 20 } } },
    ));
});

describe("JavaScript and TypeScript", () => {
  test("a syntax error is found with file, line and column", () =>
    inShop(async (shop) => {
      const failure = await failureOf(shop.build({ "index.mjs": "export default () => {\n  return 1 +;\n};\n" }));
      assert.equal(
        failure,
        'build-failed: The handler has a syntax error:\nindex.mjs:2:13: Unexpected ";"\n    return 1 +;\n              ^',
      );
      await shop.build({ "index.cjs": "module.exports = async () => require('fs');" }, { handler: "index.cjs" });
    }));

  test("an export that is not there is refused, saying what is", () =>
    inShop(async (shop) => {
      const module = { "package.json": '{"type":"module"}' };
      const cases: [string, Files, string][] = [
        ["index.mjs", { "index.mjs": "export const x = 1;" }, "index.mjs has no default export; it exports x"],
        ["index.mjs", { "index.mjs": "const exports = 1;" }, "index.mjs has no default export; it exports nothing"],
        ["a/index.js", { "a/index.js": "", ...module }, "a/index.js has no default export; it exports nothing"],
        ["index.js", { "index.js": "import 'node:fs';" }, "index.js has no default export; it exports nothing"],
        [
          "index.mjs#nope",
          { "index.mjs": "export default async ({ a }) => a; export function x() {}" },
          "index.mjs has no export nope; it exports default, x",
        ],
        [
          "index.mjs#nope",
          { "index.mjs": "export default async function run() {}" },
          "index.mjs has no export nope; it exports default",
        ],
        [
          "index.mjs#nope",
          { "index.mjs": "const run = (input) => 1;\nexport default run;" },
          "index.mjs has no export nope; it exports default",
        ],
        [
          "index.ts#nope",
          { "index.ts": 'export * from "./lib.ts";', "lib.ts": "export const x = 1; export type nope = 1;" },
          "index.ts has no export nope; it exports x",
        ],
        ["index.ts", { "index.ts": "const x: number = 1;" }, "index.ts has no default export; it exports nothing"],
      ];
      const remedy = "Export a function (input, context) => output, or an object with fetch(request, context).";
      for (const [handler, files, message] of cases)
        assert.equal(await failureOf(shop.build(files, { handler })), `build-failed: ${message}. ${remedy}`);
    }));

  test("an export that is there, or may be when it runs, is let pass", () =>
    inShop(async (shop) => {
      const lib = {
        "lib.mjs": "export const nope = () => 1;",
        "lib.cjs": "exports.nope = () => 1;",
        "package.json": '{"name":"f"}',
      };
      const cases: [string, string][] = [
        ["index.mjs", "export const handler = () => 1;"],
        ["index.mjs", "export { nope as default } from './lib.mjs';"],
        ["index.mjs#nope", "export * from './lib.mjs';"],
        ["index.mjs#nope", "export { nope } from './lib.mjs';"],
        ["index.mjs#nope", "export const { nope } = { nope() {} };"],
        ["index.mjs#nope", "export default { nope() {} };"],
        ["index.mjs#nope", "import all from './lib.cjs'; export default all;"],
        ["index.mjs#nope", "const all = () => 1;\nall.nope = () => 1;\nexport default all;"],
        ["index.js", "with (exports) handler = () => 1;"],
        ["index.js#nope", "Object.assign(module.exports, require('./lib.cjs'));"],
        ["index.js", ""],
        ["index.cjs", ""],
        ["index.ts#nope", "export * from './lib.cjs';"],
        ["index.ts#nope", "export * from './lib.mjs';"],
        ["index.ts#nope", "export = { nope() {} };"],
        ["index.ts#nope", "import all from './lib.cjs'; export default all;"],
      ];
      for (const [handler, text] of cases)
        await shop
          .build({ ...lib, [handler.replace(/#.*/, "")]: text }, { handler })
          .catch((error) => assert.fail(`${handler}: ${text}: ${error.message}`));
    }));

  test("a TypeScript handler becomes one .mjs that runs", () =>
    inShop(async (shop) => {
      const bundle = await shop.build(
        {
          "src/index.ts":
            'import { twice } from "./twice.ts";\nimport words from "../words.json";\nexport default (n: number): string => words[0] + twice(n);\n',
          "src/twice.ts": "export const twice = (n: number): number => n * 2;\n",
          "words.json": '["is "]',
        },
        { handler: "src/index.ts#default" },
      );
      const files = await shop.open(bundle);
      assert.deepEqual(JSON.parse(files.get("src/index.mjs.map")!).sources, ["twice.ts", "../words.json", "index.ts"]);
      assert.deepEqual(await run(files.get("src/index.mjs")!, shop, 21), "is 42");
    }));

  test("what calls require has one, also where the source makes its own", () =>
    inShop(async (shop) => {
      const own =
        'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);\nexport default () => require("node:path").sep;\n';
      const cjs = {
        "index.ts": 'import lib from "./lib.cjs";\nexport default () => lib.sep;\n',
        "lib.cjs": 'module.exports = require("node:path");\n',
      };
      for (const files of [
        { "index.ts": own },
        cjs,
        { ...cjs, "index.ts": `${cjs["index.ts"]}${own.replace(/export default/, "export const other =")}` },
      ]) {
        const bundle = await shop.build(files, { handler: "index.ts" });
        assert.equal(await run((await shop.open(bundle)).get("index.mjs")!, shop), "/");
      }
    }));

  test("a syntax error in an imported file is found", () =>
    inShop(async (shop) => {
      const files = { "index.ts": 'import "./b.ts";\n', "b.ts": "const a: number = ;\n" };
      const failure = await failureOf(shop.build(files, { handler: "index.ts" }));
      assert.match(
        failure,
        /^build-failed: The handler could not be bundled:\nb\.ts:1:19: Unexpected ";"\n {2}const a: number = ;\n {20}\^$/,
      );
    }));

  test("an import that can't be found is named", () =>
    inShop(async (shop) => {
      const local = await failureOf(shop.build({ "index.ts": 'import "./gone.ts";\n' }, { handler: "index.ts" }));
      assert.match(local, /index\.ts:1:8: Could not resolve "\.\/gone\.ts"/);
      const named = await failureOf(
        shop.build({ "index.ts": 'import a from "lodash/fp";\nexport default a;\n' }, { handler: "index.ts" }),
      );
      assert.match(named, /imports the package lodash, which is not installed: run "npm install lodash"/);
    }));

  test("files of the platform can't be bundled", () =>
    inShop(async (shop) => {
      const secret = join(shop.folder, "cache", "secret.json");
      await writeFile(secret, '{"token":"s3cr3t"}');
      for (const path of [secret, "../../cache/secret.json"]) {
        const text = `import secret from ${JSON.stringify(path)};\nexport default () => secret;\n`;
        const failure = await failureOf(shop.build({ "index.ts": text }, { handler: "index.ts" }));
        assert.match(failure, /lies outside of the function's folder/);
        assert.doesNotMatch(failure, /s3cr3t/);
      }
      const token = join(shop.folder, "cache", "token.json");
      await writeFile(token, "s3cr3t");
      const extending = { "index.ts": "export default 1;\n", "tsconfig.json": JSON.stringify({ extends: token }) };
      await shop.build(extending, { handler: "index.ts" });
      assert.doesNotMatch(shop.steps.join("\n"), /s3cr3t/);
    }));

  test("a built file never replaces one of the source", () =>
    inShop(async (shop) => {
      const failure = await failureOf(shop.build({ "index.ts": "", ...HANDLER }, { handler: "index.ts" }));
      assert.match(failure, /index\.ts becomes index\.mjs when it is built, but there is a index\.mjs already/);
    }));
});

async function run(code: string, shop: Workshop, ...args: unknown[]): Promise<unknown> {
  const file = join(shop.folder, "cache", `${Math.random()}.mjs`);
  await writeFile(file, code);
  return (await import(file)).default(...args);
}

describe("npm", () => {
  test("installs what the lock file says, without scripts, and the second time from the cache", () =>
    inShop(async (shop) => {
      const entry = await publishNpm(registry, "tiny", { "index.js": "module.exports = 7;\n" });
      const files = { ...HANDLER, ...locked({ tiny: entry }) };
      const first = await shop.build(files);
      assert.equal((await shop.open(first)).get("node_modules/tiny/index.js"), "module.exports = 7;\n");
      const asked = registry.asked.length;
      const second = await shop.build({ ...files, "other.txt": "changed" });
      assert.equal(registry.asked.length, asked, "the registry was asked again");
      assert.ok(shop.steps.includes("Took the packages of package-lock.json from the cache"));
      const again = await shop.build(files);
      assert.deepEqual(again, first);
      assert.notEqual(second.digest, first.digest);
    }));

  test("the cache forgets the least recently taken when it is full", () =>
    inShop(
      async (shop) => {
        for (const name of ["big-a", "big-b"]) {
          const entry = await publishNpm(registry, name, { "data.txt": "x".repeat(6_000) });
          await shop.build({ ...HANDLER, ...locked({ [name]: entry }) });
        }
        assert.equal((await readdir(join(shop.folder, "cache/acme/installed"))).length, 1);
      },
      { limits: { maximumCacheBytes: 10_000 } },
    ));

  test("install scripts run only where they are named", () =>
    inShop(
      async (shop) => {
        const mark = `const fs = require("node:fs");
          fs.writeFileSync(__dirname + "/mark", process.env.SECRET_OF_THE_PLATFORM ?? "ran");
          fs.appendFileSync(__dirname + "/data.txt", "changed");`;
        const scripts = { scripts: { install: "node install.js" } };
        const loud = await publishNpm(registry, "loud", { "install.js": mark, "data.txt": "as published" }, scripts);
        const quiet = await publishNpm(registry, "quiet", { "install.js": mark, "data.txt": "as published" }, scripts);
        const files = { ...HANDLER, ...locked({ loud, quiet }) };
        const without = await shop.open(await shop.build(files));
        assert.deepEqual(
          [...without.keys()].filter((path) => path.endsWith("/mark")),
          [],
        );
        assert.ok(
          shop.steps.some((step) =>
            step.startsWith("Skipped the install scripts of loud, quiet: name them in build.installScripts"),
          ),
        );
        const withOne = await shop.open(await shop.build(files, { build: { installScripts: ["loud"] } }));
        assert.equal(withOne.get("node_modules/loud/mark"), "ran");
        assert.equal(withOne.has("node_modules/quiet/mark"), false);
        const afterwards = await shop.open(await shop.build(files));
        assert.equal(afterwards.has("node_modules/loud/mark"), false, "the cache kept what a script made");
        assert.equal(afterwards.get("node_modules/loud/data.txt"), "as published", "a script changed what is kept");
      },
      { environment: { SECRET_OF_THE_PLATFORM: "s3cr3t" } },
    ));

  test(
    "what an install script leaves running, in a session of its own too, ends with the build",
    { timeout: 30_000 },
    () =>
      inShop(async (shop) => {
        const file = join(shop.folder, "cache", "pid");
        const script = `
        const child = require("node:child_process").spawn("sleep", ["1000"], { detached: true, stdio: "ignore" });
        require("node:fs").writeFileSync(${JSON.stringify(file)}, String(child.pid));
        child.unref();`;
        const manifest = { scripts: { install: "node install.js" } };
        const native = await publishNpm(registry, "lingering", { "install.js": script, "index.js": "" }, manifest);
        const files = { ...HANDLER, ...locked({ lingering: native }) };
        await shop.build(files, { build: { installScripts: ["lingering"] } });
        await gone(Number(await readFile(file, "utf8")));
      }),
  );

  test("a package that is imported and not installed is refused", () =>
    inShop(async (shop) => {
      const cases: [string, Files, string, string][] = [
        ["index.mjs", { "index.mjs": 'import x from "yaml"; export default x;' }, "index.mjs", "yaml"],
        ["index.mjs", { "index.mjs": 'export { x as default } from "@a/b/c.js";' }, "index.mjs", "@a/b"],
        [
          "a/index.mjs",
          { "a/index.mjs": 'export { default } from "../lib.mjs";', "lib.mjs": 'import "yaml"; export default 1;' },
          "lib.mjs",
          "yaml",
        ],
        ["index.cjs", { "index.cjs": 'const {\n a,\n b } = require("yaml/x");' }, "index.cjs", "yaml"],
        ["index.js", { "index.js": 'const yaml = require("yaml")(1);' }, "index.js", "yaml"],
        ["index.js", { "index.js": 'module.exports = require("yaml");' }, "index.js", "yaml"],
      ];
      // Above the function's folder is not in it.
      await mkdir(join(shop.folder, "node_modules/yaml"), { recursive: true });
      await writeFile(join(shop.folder, "node_modules/yaml/index.js"), "");
      for (const [handler, files, importer, name] of cases)
        assert.equal(
          await failureOf(shop.build(files, { handler })),
          `build-failed: ${importer} imports the package ${name}, which is not installed: run "npm install ${name}" in the function's folder and deploy package.json and package-lock.json with it.`,
        );
      await rm(join(shop.folder, "node_modules"), { recursive: true });
    }));

  test("a package that is there, or need not be, is let pass", () =>
    inShop(async (shop) => {
      const files: Files = {
        "package.json": '{"name":"me","exports":{"./x":"./lib.mjs"},"imports":{"#x":"./lib.mjs"}}',
        "node_modules/there/index.js": "require('gone');",
        "node_modules/@a/b/index.mjs": "import 'gone';",
        "node_modules/plain.js": "",
        "a/node_modules/deep/index.js": "",
        "lib.mjs": "",
        "lazy.mjs": "import 'gone';",
        "lib.cjs": "require('gone');",
        "a/data.json": '{"a": 1}',
        "lib.js": "if (process.env.GONE) require('gone');",
      };
      const modules = [
        "import 'there'; import '@a/b/index.mjs'; import 'fs/promises'; import 'node:sqlite'; import 'fs';",
        "import 'me/x'; import '#x'; import 'data:text/javascript,1'; import './lib.mjs'; import './a/data.json';",
        "import './node_modules/@a/b/index.mjs';",
        "import './lib.js';\nconst text = `\nconst x = require(\"gone\");\n`;",
        "await import('gone').catch(() => {}); const later = () => import('./lazy.mjs');",
        "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);\ntry { require('gone') } catch {}",
      ];
      const scripts = [
        "const a = require('there'), b = require('fs');\nrequire('plain');",
        "try {\nrequire('gone');\n} catch {}",
        "if (process.env.GONE)\nrequire('gone');",
        "function later() {\nconst x = require('gone');\n}\nconst f = () => require('gone');",
        'const text = `\nconst x = require("gone");\n`;',
        "if (process.env.GONE) require('./lib.cjs');",
        "with (module) exports = () => 1;",
      ];
      const cases = [
        ...modules.map((text) => ["index.mjs", `${text}\nexport default () => 1;`]),
        ...scripts.map((text) => ["index.js", text]),
        ["a/index.mjs", "import 'deep'; import 'there'; export default () => 1;"],
        ["index.ts", "import 'there'; import 'me/x'; import '#x'; export default () => 1;"],
      ];
      for (const [handler = "", text = ""] of cases)
        await shop
          .build({ ...files, [handler]: text }, { handler })
          .catch((error) => assert.fail(`${text}: ${error.message}`));
    }));

  test("dependencies without a lock file are refused", () =>
    inShop(async (shop) => {
      const files = { ...HANDLER, "package.json": '{"dependencies":{"tiny":"^1.0.0"}}' };
      assert.match(
        await failureOf(shop.build(files)),
        /^dependencies-failed: package.json names dependencies \(tiny\), but there is no package-lock.json, pnpm-lock.yaml or yarn.lock: run "npm install"/,
      );
      await shop.build({ ...HANDLER, "package.json": '{"type":"module","devDependencies":{"x":"1"}}' });
    }));

  test("a lock file that does not match says what differs", () =>
    inShop(async (shop) => {
      const files = locked({});
      const manifest = JSON.stringify({ name: "f", version: "1.0.0", dependencies: { tiny: "1.0.0" } });
      await publishNpm(registry, "tiny", { "index.js": "" });
      const failure = await failureOf(shop.build({ ...HANDLER, ...files, "package.json": manifest }));
      assert.match(
        failure,
        /^dependencies-failed: package-lock.json does not match package.json \(Missing: tiny@1.0.0 from lock file\): run "npm install"/,
      );
      const shown = shop.output.join("\n");
      assert.match(shown, /Missing: tiny@1\.0\.0/);
      assert.doesNotMatch(shown, /Usage|--install-strategy|npm help/);
    }));

  test("broken files, gone packages and changed packages are told apart", () =>
    inShop(async (shop) => {
      assert.match(
        await failureOf(shop.build({ ...HANDLER, "package.json": "{" })),
        /^build-failed: package.json is not JSON: .*position 1/,
      );
      assert.match(await failureOf(shop.build({ ...HANDLER, "package-lock.json": "{}" })), /no package.json beside it/);
      const gone = { version: "1.0.0", resolved: `${registry.url}/gone/-/gone-1.0.0.tgz` };
      assert.match(
        await failureOf(shop.build({ ...HANDLER, ...locked({ gone }) })),
        /^dependencies-failed: A package of package-lock.json is not in the registry: /,
      );
      const entry = await publishNpm(registry, "forged", { "index.js": "1" });
      const forged = { ...entry, integrity: `sha512-${Buffer.alloc(64).toString("base64")}` };
      assert.match(
        await failureOf(shop.build({ ...HANDLER, ...locked({ forged }) })),
        /^dependencies-failed: A package is not what package-lock.json says it is/,
      );
    }));

  test("a native module that can't be built says which, what it lacks and its last lines", () =>
    inShop(async (shop) => {
      const script =
        'console.log("gyp info it worked so far"); console.error("/bin/sh: make: not found"); process.exit(1);';
      const manifest = { scripts: { install: "node install.js" } };
      const native = await publishNpm(registry, "native", { "install.js": script }, manifest);
      const files = { ...HANDLER, ...locked({ native }) };
      const failure = await failureOf(shop.build(files, { build: { installScripts: ["native"] } }));
      assert.match(failure, /^dependencies-failed: An install script of native failed: /);
      assert.match(failure, /make is not installed on the host of the platform: .*apt-get install build-essential/);
      assert.match(failure, /leave native out of build\.installScripts/);
      assert.match(failure.split("Its last lines:")[1] ?? "", /gyp info it worked so far/);
      // Named in binding.gyp alone, npm would build it as well.
      const gyp = await publishNpm(registry, "gyp-only", { "binding.gyp": "{}" });
      await shop.build({ ...HANDLER, ...locked({ "gyp-only": gyp }) });
      assert.ok(shop.steps.some((step) => step.startsWith("Skipped the install scripts of gyp-only")));
    }));

  test("only the binaries of this platform are installed", () =>
    inShop(async (shop) => {
      const here = await publishNpm(registry, "bin-here", { "x.node": "ELF" }, { os: ["linux"] });
      const there = await publishNpm(registry, "bin-there", { "x.node": "PE" }, { os: ["win32"] });
      const files = locked({
        "bin-here": { ...here, optional: true, os: ["linux"] },
        "bin-there": { ...there, optional: true, os: ["win32"] },
      });
      const optional = Object.fromEntries(
        Object.entries(files).map(([name, text]) => [
          name,
          String(text).replaceAll('"dependencies"', '"optionalDependencies"'),
        ]),
      );
      const bundle = await shop.open(await shop.build({ ...HANDLER, ...optional }));
      assert.equal(bundle.get("node_modules/bin-here/x.node"), "ELF");
      assert.equal(bundle.has("node_modules/bin-there/x.node"), false);
    }));

  test("a package can't write outside of its folder", () =>
    inShop(async (shop) => {
      const entry = await publishNpm(registry, "escaping", { "../../../escaped.txt": "x", "/tmp/escaped.txt": "x" });
      const bundle = await shop.open(await shop.build({ ...HANDLER, ...locked({ escaping: entry }) }));
      const names = [...bundle.keys()].filter((name) => name.includes("escaped"));
      assert.deepEqual(
        names.filter((name) => !name.startsWith("node_modules/escaping/")),
        [],
      );
      assert.equal(await exists(join(shop.folder, "escaped.txt")), false);
    }));

  test("a registry that hangs is given up", () =>
    inShop(
      async (shop) => {
        const entry = await publishNpm(registry, "hung", { "index.js": "" });
        registry.hanging.add("/hung/-/hung-1.0.0.tgz");
        assert.match(
          await failureOf(shop.build({ ...HANDLER, ...locked({ hung: entry }) })),
          /^dependencies-failed: The package registry can't be reached from the platform's host \(/,
        );
        registry.hanging.clear();
      },
      { environment: { npm_config_fetch_timeout: "700", npm_config_fetch_retries: "0" } },
    ));

  test("a lock file can't reach out of the folder", () =>
    inShop(async (shop) => {
      for (const resolved of [
        "file:../../../etc/x.tgz",
        "file:/etc/x.tgz",
        "git+file:///etc",
        "file:a/%2e%2e/../../x",
      ]) {
        const failure = await failureOf(shop.build({ ...HANDLER, ...locked({ x: { version: "1.0.0", resolved } }) }));
        assert.match(
          failure,
          /^dependencies-failed: package-lock.json \("packages" → "node_modules\/x" → "resolved"\) takes the package x from .* outside of the function's folder/,
        );
      }
    }));

  test(".npmrc loses what is dangerous, and does not get into the bundle", () =>
    inShop(async (shop) => {
      const npmrc = `ignore-scripts=false\ngit=./evil\n//127.0.0.1/:_authToken=abcdef123456\nregistry=${registry.url}/\n`;
      const entry = await publishNpm(registry, "tiny", { "index.js": "" });
      const files = await shop.open(await shop.build({ ...HANDLER, ...locked({ tiny: entry }), ".npmrc": npmrc }));
      assert.ok(shop.steps.includes(".npmrc: left out ignore-scripts, git"));
      assert.equal(files.has(".npmrc"), false);
    }));

  test("a host without npm says so", () =>
    inShop(
      async (shop) => {
        const entry = await publishNpm(registry, "tiny", {});
        const failure = await failureOf(shop.build({ ...HANDLER, ...locked({ tiny: entry }) }));
        assert.equal(
          failure,
          "dependencies-failed: npm is not installed on the host of the platform: packages can't be installed until it is.",
        );
      },
      { npm: ["npm-that-is-not-there"] },
    ));
});

describe("the life of a build", () => {
  test("abort ends what runs and leaves nothing", () =>
    inShop(async (shop) => {
      const { files, started } = await endless(shop);
      const controller = new AbortController();
      const building = shop.build(files, { build: { installScripts: ["slow"] } }, controller.signal);
      building.catch(() => {});
      const pid = await Promise.race([started(), building.then(() => assert.fail("it was built"))]);
      controller.abort(new Error("enough"));
      await assert.rejects(building, /enough/);
      await gone(pid);
    }));

  test("close aborts what is being built, and works twice", () =>
    inShop(async (shop) => {
      const { files, started } = await endless(shop);
      const building = shop.build(files, { build: { installScripts: ["slow"] } });
      building.catch(() => {});
      const pid = await Promise.race([started(), building.then(() => assert.fail("it was built"))]);
      await shop.builder.close();
      await shop.builder.close();
      await assert.rejects(building, { code: "unavailable" });
      await gone(pid);
    }));

  test("time is bounded", () =>
    inShop(
      async (shop) => {
        const { files } = await endless(shop);
        const failure = await failureOf(shop.build(files, { build: { installScripts: ["slow"] } }));
        assert.match(failure, /^build-failed: The build took longer than 0.05 minutes/);
      },
      { limits: { maximumMs: 3_000 } },
    ));

  test("open removes what a crash has left", () =>
    inShop(async (shop) => {
      await shop.builder.close();
      const left = join(shop.folder, "01ABCDEF");
      await writeFile(left, "");
      await inWorkshop(blobs, { environment: { PATH } }, async () => {});
      await shop.builder.open(AbortSignal.timeout(1_000));
      assert.equal(await exists(left), false);
    }));
});

/** A function whose install script never ends, and the process that runs it. */
async function endless(shop: Workshop): Promise<{ files: Files; started: () => Promise<number> }> {
  const mark = join(shop.folder, "cache", "pid");
  const script = `require("fs").writeFileSync(${JSON.stringify(mark)}, String(process.pid)); setInterval(() => {}, 1000);`;
  const slow = await publishNpm(
    registry,
    "slow",
    { "install.js": script },
    { scripts: { install: "node install.js" } },
  );
  const started = async () => {
    for (const until = Date.now() + 60_000; Date.now() < until; ) {
      const text = await readFile(mark, "utf8").catch(() => "");
      if (text !== "") return Number(text);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("the install script did not start");
  };
  return { files: { ...HANDLER, ...locked({ slow }) }, started };
}
