import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { checkAmbient } from "./tidy/ambient.ts";
import { checkBarrels } from "./tidy/barrels.ts";
import { checkDead } from "./tidy/dead.ts";
import { checkLinks } from "./tidy/links.ts";
import { checkLock } from "./tidy/lock.ts";
import { checkMachine } from "./tidy/machine.ts";
import { checkMarks } from "./tidy/marks.ts";
import { checkNames } from "./tidy/names.ts";
import { checkPackages, PACKAGES } from "./tidy/packages.ts";
import { checkSize } from "./tidy/size.ts";
import { type File, type Finding, importsOf, scan } from "./tidy/source.ts";
import { checkUnused } from "./tidy/unused.ts";
import { checkWalls } from "./tidy/walls.ts";
import { listFiles } from "./tree.ts";

/** `path` → text, as the checks take it. */
function tree(files: Record<string, string>): File[] {
  return Object.entries(files).map(([path, text]) => ({ path, text }));
}

function accepts(check: (files: File[]) => Finding[], path: string, text: string): void {
  assert.deepEqual(check(tree({ [path]: text })), [], `${path}: ${text}`);
}

function refuses(check: (files: File[]) => Finding[], path: string, text: string, message: RegExp, line = 1): void {
  const findings = check(tree({ [path]: text }));
  assert.equal(findings.length, 1, `${path}: ${text}\n${JSON.stringify(findings)}`);
  assert.deepEqual([findings[0]?.path, findings[0]?.line], [path, line]);
  assert.match(findings[0]?.message ?? "", message);
}

const load = (specifier: string): string => `import { x } from "${specifier}";\n`;
const know = (specifier: string): string => `import type { X } from "${specifier}";\n`;

test("scan blanks comments, strings and regular expressions, and keeps code in templates", () => {
  const text = `a('x{'); /* { */ b(\`{\${c({ d: '}' })}\`); e = f / g; h(/[/{]\\/}/); // }\ni`;
  const { code, comments } = scan({ path: "a.ts", text });
  assert.equal(code.length, text.length);
  assert.equal(code.replace(/\s+/g, ""), `a('');b(\`\${c({d:''})}\`);e=f/g;h(//);i`);
  assert.deepEqual(
    comments.map(({ text }) => text),
    ["/* { */", "// }"],
  );
});

test("imports of every form are found, those in comments and strings are not", () => {
  const text = `
import a, { type B } from "one";
import type { C } from 'two';
export * as d from "three";
export type { E } from "four";
import "five";
const f = await import("six");
import {
  g,
} from "seven";
// import h from "none";
const i = 'import h from "none"';
import type from "eight";
`;
  const found = importsOf({ path: "a.ts", text });
  const expected = ["one", "two type", "three", "four type", "five", "six", "seven", "eight"];
  assert.deepEqual(
    found.map(({ specifier, typeOnly }) => (typeOnly ? `${specifier} type` : specifier)),
    expected,
  );
});

test("walls: imports go left", () => {
  const steps = ["#contract/x.ts", "#domain/x.ts", "#ports/x.ts", "#drivers/x.ts", "#platform/main/x.ts"];
  const folders = ["contract", ...["domain", "ports", "drivers", "main"].map((name) => `platform/src/${name}`)];
  for (const [at, folder] of folders.entries()) {
    for (const [to, specifier] of steps.entries()) {
      if (to <= at) accepts(checkWalls, `${folder}/a.ts`, load(specifier));
      else refuses(checkWalls, `${folder}/a.ts`, `\n${load(specifier)}`, /must not import/, 2);
    }
  }
});

test("walls: base and contract stand alone", () => {
  accepts(checkWalls, "platform/src/base/a.ts", load("node:fs") + load("#base/b.ts"));
  refuses(checkWalls, "platform/src/base/a.ts", know("#contract/b.ts"), /base must not import contract/);
  accepts(checkWalls, "platform/src/base/link/a.ts", load("#contract/link/b.ts") + load("../clock.ts"));
  refuses(checkWalls, "platform/src/base/link/a.ts", know("#domain/b.ts"), /link must not import domain/);
  refuses(checkWalls, "platform/src/base/clock.ts", know("./link/a.ts"), /base must not import link/);
  refuses(checkWalls, "contract/a.ts", know("#base/b.ts"), /contract must not import base/);
  refuses(checkWalls, "contract/a.ts", know("../platform/src/base/b.ts"), /contract must not import base/);
});

test("walls: services know each other by type, and drivers not at all", () => {
  accepts(checkWalls, "platform/src/gateway/a.ts", know("#platform/dispatch/index.ts"));
  refuses(checkWalls, "platform/src/gateway/a.ts", load("#platform/dispatch/index.ts"), /by type only/);
  refuses(checkWalls, "platform/src/gateway/a.ts", 'import { type X } from "../dispatch/x.ts";', /by type only/);
  refuses(checkWalls, "platform/src/agent/a.ts", know("#drivers/sandbox/process/x.ts"), /must not import drivers/);
  refuses(
    checkWalls,
    "platform/src/control/a.ts",
    know("#platform/builder/x.ts"),
    /builder may be imported by main only/,
  );
  accepts(checkWalls, "platform/src/main/a.ts", load("#platform/builder/x.ts"));
});

test("walls: a test wires its service as main would, a test of pure code does not", () => {
  accepts(
    checkWalls,
    "platform/src/gateway/a.test.ts",
    load("#platform/dispatch/x.ts") + load("#drivers/store/memory/x.ts"),
  );
  refuses(checkWalls, "platform/src/domain/a.test.ts", load("#drivers/store/memory/x.ts"), /must not import/);
});

test("walls: a guest carries its link and the errors, nothing else of the contracts", () => {
  accepts(
    checkWalls,
    "guest/node/a.ts",
    load("#contract/guest/frames.ts") + load("#contract/errors.ts") + load("./b.ts"),
  );
  refuses(checkWalls, "guest/node/a.ts", load("#contract/agent/x.ts"), /a guest must not import/);
  refuses(checkWalls, "guest/node/a.ts", load("../python/x.ts"), /a guest must not import/);
});

test("walls: cli and tools do not reach into the platform, domain does no I/O", () => {
  accepts(checkWalls, "cli/a.ts", load("#base/b.ts"));
  accepts(checkWalls, "cli/a.ts", load("#sdk/node/client.ts") + load("#sdk/node/client/b.ts"));
  refuses(checkWalls, "cli/a.ts", know("#domain/b.ts"), /cli must not import domain/);
  refuses(checkWalls, "cli/a.ts", load("#sdk/node/testing.ts"), /cli must not import sdk/);
  refuses(checkWalls, "sdk/node/client/a.ts", load("#contract/b.ts"), /client must not import contract/);
  refuses(checkWalls, "tools/a.ts", know("#platform/main/b.ts"), /tools must not import main/);
  refuses(checkWalls, "platform/src/domain/a.ts", load("node:fs"), /domain does no I\/O/);
  refuses(checkWalls, "platform/src/extras/a.ts", "", /no wall is drawn/);
});

test("barrels: only the front of a port or service", () => {
  const barrel =
    'import type { A } from "./a.ts";\nexport * from "./b.ts";\nexport { c } from "./c.ts";\nexport type { A };\n';
  accepts(checkBarrels, "platform/src/gateway/index.ts", barrel);
  accepts(checkBarrels, "platform/src/ports/store/index.ts", barrel);
  accepts(checkBarrels, "contract/a.ts", `${barrel}export const d = 1;\n`);
  refuses(checkBarrels, "contract/index.ts", barrel, /only re-exports/);
  refuses(checkBarrels, "platform/src/domain/index.ts", barrel, /only re-exports/);
});

test("packages: allowed by folder", () => {
  const rows = [{ name: "@a/b", folders: ["cli/", "contract/config/"], why: "a test" }];
  const check = (files: File[]): Finding[] => checkPackages(files, rows);
  accepts(check, "cli/a.ts", load("@a/b/sub") + load("node:fs") + load("#cli/b.ts"));
  accepts(check, "examples/a/a.ts", load("anything"));
  refuses(check, "tools/a.ts", load("@a/b"), /"@a\/b" is allowed only in cli\/, contract\/config\//);
  refuses(check, "tools/a.ts", load("c"), /"c" is allowed nowhere/);
});

test("packages: a row nobody needs, and a dependency without a row", () => {
  const rows = [{ name: "a", folders: ["cli/", "sdk/"], why: "a test" }];
  const unused = checkPackages(tree({ "cli/a.ts": "" }), rows);
  assert.deepEqual(
    unused.map(({ message }) => message),
    ['"a" is allowed in cli/ and not used there: drop it from the row'],
  );
  const manifest = '{\n  "dependencies": {\n    "b": "1.0.0"\n  }\n}';
  refuses((files) => checkPackages(files, rows), "package.json", manifest, /"b" has no row/, 3);
});

test("packages: domain, dispatch and guest use none, and each row has a reason", () => {
  for (const { name, folders, why } of PACKAGES) {
    assert.ok(why.length > 10, name);
    for (const folder of folders)
      assert.doesNotMatch(folder, /^(?:guest\/(?:node|python)|platform\/src\/(?:domain|dispatch))\/|^platform\/$/);
  }
});

test("ambient: time, chance, environment and console stay in base and main", () => {
  const uses = [
    "Date.now()",
    "new Date()",
    "performance.now()",
    "Math.random()",
    "crypto.randomUUID()",
    "randomBytes(4)",
  ];
  uses.push("setTimeout(f, 1)", "globalThis.setInterval(f)", "setImmediate(f)", "process.env.HOME", "console.log(1)");
  uses.push(
    "AbortSignal.timeout(5)",
    "process.hrtime.bigint()",
    'import { setTimeout as sleep } from "node:timers/promises"',
  );
  for (const use of uses) {
    const findings = checkAmbient(tree({ "platform/src/gateway/a.ts": `f();\n${use};\n` }));
    assert.ok(findings.length > 0 && findings.every(({ line }) => line === 2), use);
    accepts(checkAmbient, "platform/src/base/a.ts", `${use};`);
    accepts(checkAmbient, "platform/src/gateway/a.test.ts", `${use};`);
    accepts(checkAmbient, "guest/node/a.ts", `${use};`);
  }
  accepts(
    checkAmbient,
    "contract/a.ts",
    "clock.setTimeout(f, 1); new Date(now); random.uuid(); // Date.now()\n'console.log()';",
  );
});

test("a port's conformance suite and bench may wire drivers and tell the time, as tests do", () => {
  for (const name of ["conformance", "bench"]) {
    const text = `${load("#drivers/store/memory/x.ts")}performance.now(); AbortSignal.timeout(5);\n`;
    accepts(checkAmbient, `platform/src/ports/store/${name}.ts`, text);
    accepts(checkWalls, `platform/src/ports/store/${name}.ts`, text);
    refuses(checkWalls, `platform/src/ports/store/${name}s.ts`, text, /ports must not import drivers/);
  }
});

test("ambient: no timers in tests of pure code", () => {
  refuses(checkAmbient, "platform/src/domain/a.test.ts", "setTimeout(f, 1);", /global timer/);
  refuses(checkAmbient, "platform/src/domain/a.test.ts", load("node:timers/promises"), /node:timers/);
  accepts(checkAmbient, "platform/src/domain/a.test.ts", "process.env.SEED;");
});

test("size: a file ends at 600 lines", () => {
  accepts(checkSize, "cli/a.ts", "x;\n".repeat(600));
  accepts(checkSize, "docs/a.md", "x\n".repeat(601));
  accepts(checkSize, "test/fixtures/a.ts", "x\n".repeat(601));
  refuses(checkSize, "guest/python/a.py", "x\n".repeat(601), /601 lines/, 600);
});

test("size: a function ends at 70 lines, whatever its form", () => {
  const forms = [
    ["function f(a: string): void {", "}"],
    ["async function* f<T>(a = { b: [1] }): AsyncGenerator<Array<T>> {", "}"],
    ["function f(a: () => void): { a: string } | undefined {", "}"],
    ["function f(a: unknown): a is { b: (c: string) => void } {", "}"],
    ["const f = async (a) => {", "};"],
    ["const f = (a: string): Promise<void> => {", "};"],
    ["const f = { async f(a): Promise<Map<string, () => void>> {", "} };"],
    ["class A { async #f() {", "} }"],
    ["class A { constructor(a: string) {", "} }"],
    ["f(a, function () {", "});"],
  ] as const;
  for (const [head, tail] of forms) {
    accepts(checkSize, "cli/a.ts", `\n${head}\n${"  x();\n".repeat(68)}${tail}\n`);
    refuses(checkSize, "cli/a.ts", `\n${head}\n${"  x();\n".repeat(69)}${tail}\n`, /71 lines/, 2);
  }
});

test("size: statements and groups of tests are not functions, tests in a group are", () => {
  const long = "  x();\n".repeat(80);
  for (const head of ["if (a) {", "for await (const a of b) {", "} while (a); switch (b) {", "const a = {"]) {
    accepts(checkSize, "cli/a.ts", `${head}\n${long}}\n`);
  }
  const group = `describe("a", { timeout: 5 }, () => {\n${long}});\n`;
  accepts(checkSize, "cli/a.test.ts", group);
  accepts(checkSize, "cli/conformance.ts", `export function conform(make: () => A): void {\n${group}${group}}\n`);
  refuses(
    checkSize,
    "cli/a.test.ts",
    `describe("a", () => {\n  test("b", async () => {\n${long}  });\n});\n`,
    /82 lines/,
    2,
  );
});

test("size: Python functions", () => {
  const python = (lines: number): string =>
    `class A:\n    async def f(\n        a,\n    ):\n${"        x()\n\n".repeat(lines)}    def g(): pass\n`;
  accepts(checkSize, "guest/python/a.py", python(33));
  refuses(checkSize, "guest/python/a.py", python(36), /f has 7\d lines/, 2);
});

test("names: files and folders that say nothing", () => {
  for (const path of [
    "cli/utils/a.ts",
    "cli/string-helpers.ts",
    "cli/impl.ts",
    "docs/misc.md",
    "a/Manager.ts",
    "common/a.ts",
  ]) {
    refuses(checkNames, path, "", /says nothing/);
  }
  accepts(checkNames, "cli/implied.ts", "");
  refuses(checkNames, "cli/fixture.ts", "", /<what>\.fixture\.ts/);
  accepts(checkNames, "cli/platform.fixture.ts", "");
  accepts(checkNames, "test/fixtures/utils/a.ts", "");
});

test("marks: leftovers in comments and documents, not in strings", () => {
  for (const mark of ["TODO", "FIXME", "XXX", "HACK"]) {
    refuses(checkMarks, "cli/a.ts", `f();\n// ${mark}: later\n`, /leftover/, 2);
    refuses(checkMarks, "guest/python/a.py", `# ${mark} later\n`, /leftover/);
    accepts(checkMarks, "cli/a.ts", `f("${mark}");\n`);
  }
});

test("marks: checks switched off and tests focused", () => {
  refuses(checkMarks, "cli/a.ts", "const a = b as any;", /as any/);
  refuses(checkMarks, "cli/a.ts", "// @ts-ignore\n", /types are switched off/);
  refuses(checkMarks, "cli/a.ts", "// biome-ignore lint/style/useConst\n", /without a reason/);
  refuses(checkMarks, "cli/a.ts", "// biome-ignore lint/style/useConst: <explanation>\n", /without a reason/);
  accepts(checkMarks, "cli/a.ts", "// biome-ignore lint/style/useConst: the loop below assigns it\n");
  accepts(checkMarks, "cli/a.ts", "// biome-ignore-all lint/style/useConst: every loop in it assigns them\n");
  refuses(checkMarks, "cli/a.ts", "// biome-ignore-all lint/style/useConst\n", /without a reason/);
  refuses(checkMarks, "cli/a.test.ts", 'test.only("a", f);', /focused/);
  refuses(checkMarks, "cli/a.test.ts", 'test("a", { only: true }, f);', /focused/);
});

test("dead: files nothing leads to, those that only keep each other included", () => {
  const files = tree({
    "package.json": '{ "scripts": { "start": "node bin/start", "bench": "node bench/main.ts --json" } }',
    "bin/start": 'spawn(node, [join(root, "cli", "main.ts")]);',
    "bench/main.ts": "",
    "cli/main.ts": 'import "./a.ts"; new Worker(new URL("./worker.ts", import.meta.url));',
    "cli/a.ts": 'export { b } from "#base/b.ts";',
    "cli/worker.ts": "",
    "platform/src/base/b.ts": "",
    "cli/c.ts": 'import "./d.ts";',
    "cli/d.ts": 'import "./c.ts"; // cli/e.ts',
    "cli/e.ts": "",
    "cli/f.ts": "",
    "cli/f.test.ts": 'import "./f.ts"; assert.equal(name, "g.ts");',
    "cli/g.ts": "",
  });
  assert.deepEqual(
    checkDead(files).map(({ path }) => path),
    ["cli/c.ts", "cli/d.ts", "cli/e.ts", "cli/g.ts"],
  );
});

test("unused: values nobody imports, types nobody names", () => {
  const check = (text: string, user: string): string[] =>
    checkUnused(tree({ "cli/a.ts": text, "cli/b.test.ts": user })).map(({ line, message }) => `${line}: ${message}`);
  const nobody = [/^2: nothing imports "f"/];
  const text = "\nexport async function f() {}\n";
  for (const user of [
    "",
    'import { f } from "./c.ts";',
    'import { g } from "./a.ts";',
    'import type { g as f } from "./a.ts"; f();',
  ])
    for (const [index, message] of check(text, user).entries()) assert.match(message, nobody[index]!, user);
  assert.equal(check(text, "").length, 1);
  for (const user of [
    'import { f } from "./a.ts";',
    'import { g, type f as h } from "./a.ts";',
    'export * from "./a.ts";',
    'import * as a from "#cli/a.ts";',
    'const { f } = await import("./a.ts");',
  ])
    assert.deepEqual(check(text, user), [], user);
  assert.match(check("export interface Lonely {}\n", "")[0] ?? "", /nothing names the type "Lonely"/);
  assert.deepEqual(check("export interface Known {}\nfunction g(known: Known) {}\n", ""), []);
});

test("unused: members nobody names, in classes and interfaces", () => {
  const check = (member: string, user: string): number =>
    checkUnused(
      tree({
        "cli/a.ts": `class A {\n  ${member}\n}\ninterface B {\n  b(): void;\n}\n`,
        "cli/c.test.ts": `x.b();\n${user}`,
      }),
    ).length;
  for (const member of [
    "m(): void {}",
    "get m() {",
    "readonly m: string;",
    "static m = 1;",
    "async *m() {",
    "m?: number;",
  ]) {
    assert.equal(check(member, ""), 1, member);
    assert.equal(check(member, "m(); n = m; f(a, m) // a.m"), 1, member);
    for (const user of [
      "a.m;",
      "a?.m()",
      "a\n  .m()",
      "const { m } = a;",
      "f({ m: 1 })",
      "const { n, m = 2 } = a;",
      'a["m"];',
    ])
      assert.equal(check(member, user), 0, `${member} ${user}`);
  }
  assert.equal(check("override m(): void {}", ""), 0);
  assert.equal(check("toJSON() {}", ""), 0);
  assert.equal(check("constructor() {}", ""), 0);
});

test("links: files, folders and headings", () => {
  const rest = { "docs/b.md": "# One & two\n\n## Again\n\n## Again\n", "cli/main.ts": "" };
  const check = (files: File[]): Finding[] => checkLinks([...files, ...tree(rest)]);
  const good =
    "[b](b.md#one--two) [c](b.md#again-1) [d](../cli/) [e](https://example.com/x.md) `[f](none.md)`\n\n[g]: ../cli/main.ts\n";
  accepts(check, "docs/a.md", good);
  accepts(check, "docs/a.md", "```sh\n[a](none.md)\n```\n");
  refuses(check, "docs/a.md", "\n[a](none.md)", /there is no docs\/none\.md/, 2);
  refuses(check, "docs/a.md", "\n![a](none.svg)", /there is no docs\/none\.svg/, 2);
  refuses(check, "docs/a.md", "[a](b.md#three)", /no such heading/);
});

test("lock: version, integrity, no host", () => {
  const lock = (entry: object): string => JSON.stringify({ packages: { "": {}, "node_modules/a": entry } }, null, 1);
  const whole = { version: "1.0.0", integrity: "sha512-x" };
  accepts(checkLock, "package-lock.json", lock(whole));
  accepts(checkLock, "package-lock.json", lock({ link: true, resolved: "sdk/node" }));
  refuses(checkLock, "package-lock.json", lock({ ...whole, resolved: "https://example.com/a.tgz" }), /names a host/, 4);
  refuses(checkLock, "examples/a/package-lock.json", lock({ version: "1.0.0" }), /no integrity/, 4);
  refuses(checkLock, "package-lock.json", lock({ integrity: "sha512-x" }), /no version/, 4);
});

test("machine: paths of the checkout and of the folder that holds it", () => {
  const check = (files: File[]): Finding[] => checkMachine(files, ["/srv/people/me/colibri", "/tmp/colibri"]);
  refuses(check, "docs/a.md", "\ncd /srv/people/me/colibri\n", /absolute path/, 2);
  refuses(check, "a.ts", '"/srv/people/me/other"', /absolute path/);
  accepts(check, "a.ts", '"/tmp/x" "/base/srv/people/me/x" "/srv/people/mean"');
});

test("listFiles sees tracked and new files, not ignored or removed ones, with and without git", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "colibri-tree-"));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, "dist"));
  for (const path of [".gitignore", "a.ts", "b.ts", "gone.ts", "dist/c.js"])
    await writeFile(join(folder, path), "dist/\n");
  const expected = [".gitignore", "a.ts", "b.ts"];
  await rm(join(folder, "gone.ts"));
  assert.deepEqual(listFiles(folder), expected);

  await writeFile(join(folder, "gone.ts"), "");
  execFileSync("git", ["init", "--quiet"], { cwd: folder });
  execFileSync("git", ["add", "a.ts", "gone.ts"], { cwd: folder });
  await rm(join(folder, "gone.ts"));
  assert.deepEqual(listFiles(folder), expected);
});
