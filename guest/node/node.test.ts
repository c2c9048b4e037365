import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { LoadOptions } from "#guest/testing/driven-control.ts";
import { headerValues } from "#guest/testing/driven-invocation.ts";
import { type DrivenFunction, type Files, GuestDriver } from "#guest/testing/guest-driver.ts";
import { until, within } from "#guest/testing/limit.ts";

/** What only the Node guest does; what every guest does is in guest.test.ts. */
const command = { file: process.execPath, args: [fileURLToPath(new URL("./main.ts", import.meta.url))] };

async function ready(t: TestContext, given: DrivenFunction, options: LoadOptions = {}) {
  const guest = await GuestDriver.start(command);
  t.after(() => guest.stop());
  return { guest, ...(await guest.ready(given, options)) };
}

const esm = (source: string, more: Files = {}): DrivenFunction => ({
  handler: "index.mjs",
  files: { "index.mjs": source, ...more },
});

async function refused(t: TestContext, given: DrivenFunction) {
  const guest = await GuestDriver.start(command);
  t.after(() => guest.stop());
  const control = await guest.control();
  const loaded = await control.load(given.handler, guest.writeFiles(given.files));
  assert.ok(loaded.kind === "failed", "it must not load");
  return { guest, control, error: loaded.failed.error };
}

describe("the Node guest's own", { concurrency: 2 }, () => {
  const forms: Record<string, DrivenFunction> = {
    "a named export": { handler: "a.mjs#run", files: { "a.mjs": "export const run = (input) => ['ran', input];" } },
    "an export named handler": {
      handler: "a.mjs",
      files: { "a.mjs": "export const handler = (input) => ['ran', input];" },
    },
    "module.exports = function": {
      handler: "a.cjs",
      files: { "a.cjs": "module.exports = (input) => ['ran', input];" },
    },
    "exports.handler": { handler: "a.cjs", files: { "a.cjs": "exports.handler = async (input) => ['ran', input];" } },
    "a named export of CommonJS": {
      handler: "lib/a.cjs#run",
      files: { "lib/a.cjs": "const it = { run: (input) => ['ran', input] }; module.exports = it;" },
    },
    "a transpiled default": {
      handler: "a.cjs",
      files: { "a.cjs": "exports.__esModule = true; exports.default = (input) => ['ran', input];" },
    },
    "CommonJS in .js": {
      handler: "a.js",
      files: { "a.js": "const path = require('node:path'); module.exports = (input) => ['ran', input];" },
    },
    "modules in .js": {
      handler: "a.js",
      files: { "a.js": "import path from 'node:path'; export default (input) => ['ran', input];" },
    },
    TypeScript: {
      handler: "a.ts",
      files: { "a.ts": "type T = unknown; export default (input: T): T[] => ['ran', input];" },
    },
    "TypeScript modules": {
      handler: "a.mts",
      files: {
        "a.mts": "import { b } from './b.mts'; export default b;",
        "b.mts": "export const b = (input: number): unknown[] => ['ran', input];",
      },
    },
    "a dependency": {
      handler: "a.mjs",
      files: {
        "a.mjs": "import dep from 'dep'; export default dep;",
        "node_modules/dep/package.json": '{"main":"m.js"}',
        "node_modules/dep/m.js": "module.exports = (input) => ['ran', input];",
      },
    },
  };
  for (const [name, given] of Object.entries(forms))
    test(`runs ${name}`, async (t) => {
      const { control, data } = await ready(t, given);
      assert.equal((await data.json(7)).body.toString(), '["ran",7]');
      await control.ping();
      assert.deepEqual(control.logs, [], "and complains of nothing");
    });

  test("fetch keeps its object as this, and init of the same object or module runs", async (t) => {
    const { data } = await ready(
      t,
      esm(`
        let inits = 0;
        class App { #greeting = "hi"; fetch(request) { return new Response(this.#greeting + inits + (request instanceof Request)); } }
        export const init = ({ function: name, revision, remaining, signal, log }) => {
          if (name === "thumbnail" && revision === "r1" && remaining() > 0 && !signal.aborted && log.info) inits++;
        };
        export default new App();
      `),
    );
    assert.equal((await data.json({})).body.toString(), "hi1true");
    const common = await ready(t, {
      handler: "a.cjs",
      files: { "a.cjs": "let n = 0; exports.init = () => { n = 5; }; exports.handler = () => n;" },
    });
    assert.equal((await common.data.json({})).body.toString(), "5");
  });

  test("says what is wrong with exports that are none", async (t) => {
    const cases: [DrivenFunction, RegExp][] = [
      [esm("export const a = 1, b = 2;"), /index\.mjs has no default export; it exports a, b/],
      [esm("export default 7;"), /a default export that is a number, not a function/],
      [esm("const nothing = 1;"), /it exports nothing/],
      [{ handler: "a.cjs#x", files: { "a.cjs": "exports.y = 1;" } }, /no export x; it exports .*y/],
      [esm("export default () => 1; export const init = 3;"), /init, but it is a number/],
    ];
    for (const [given, says] of cases) assert.match((await refused(t, given)).error.message, says);
  });

  test("a syntax error is placed in the file that has it, in each kind of module", async (t) => {
    const bad = "const fine = 1;\nconst broken = = 1;\n";
    const cases: [DrivenFunction, RegExp][] = [
      [
        esm("import './deep/bad.mjs';\nexport default () => 1;", { "deep/bad.mjs": bad }),
        /^deep\/bad\.mjs:2: Unexpected token/,
      ],
      [{ handler: "a.cjs", files: { "a.cjs": "require('./bad.cjs');", "bad.cjs": bad } }, /^bad\.cjs:2: /],
      [{ handler: "a.ts", files: { "a.ts": bad } }, /^a\.ts:2: /],
      [esm("\nimport { nope } from './b.mjs';", { "b.mjs": "export const b = 1;" }), /^index\.mjs:2: .*nope/],
    ];
    for (const [given, says] of cases) {
      const { error } = await refused(t, given);
      assert.match(error.message, says);
      assert.equal(error.name, "SyntaxError");
    }
  });

  test("a file of the other kind is said to be one, with the ways out, and without Node's own advice", async (t) => {
    const module = { "package.json": '{"type":"module"}' };
    const commonjs = { "package.json": '{"type":"commonjs"}' };
    const common = "module.exports = () => 1;";
    const cases: [DrivenFunction, string][] = [
      [
        esm(common),
        'module is not defined in index.mjs, an ES module, as its name ends in .mjs: write "export default" instead, or name the file index.cjs and let handler: say so.',
      ],
      [
        { handler: "a.js", files: { "a.js": common, ...module } },
        'module is not defined in a.js, an ES module, as package.json says "type": "module": write "export default" instead, or name the file a.cjs and let handler: say so.',
      ],
      [
        esm("import './lib/b.mjs'; export default () => 1;", { "lib/b.mjs": "require('node:fs');" }),
        "require is not defined in lib/b.mjs, an ES module, as its name ends in .mjs: write import instead, or name the file lib/b.cjs.",
      ],
      [
        { handler: "a.cjs", files: { "a.cjs": "\nexport default () => 1;" } },
        "a.cjs:2: Unexpected token 'export': a .cjs file can't have import or export; name the file a.mjs and let handler: say so.",
      ],
      [
        { handler: "a.js", files: { "a.js": "import 'node:fs';", ...commonjs } },
        'a.js:1: Cannot use import statement outside a module: package.json says "type": "commonjs", and such a file can\'t have import or export; write "type": "module" there, or name the file a.mjs and let handler: say so.',
      ],
    ];
    for (const [given, message] of cases) {
      const { control, error } = await refused(t, given);
      assert.equal(error.message, message);
      await control.ping();
      const logged = control.logs.map(({ text }) => text).join("\n");
      assert.match(logged, /say so|or name the file/);
      assert.doesNotMatch(logged, /Failed to load|being treated/);
    }
  });

  test("an exit shows where the function called it, and nothing of the guest", async (t) => {
    const { bundleGuests } = await import("#guest/bundle.ts");
    const folder = mkdtempSync(join(tmpdir(), "colibri-exits-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const { nodejs } = await bundleGuests(folder);
    for (const [source, frames] of [
      ["export default () => process.exit(3);", /^ +at .*\(?index\.mjs:1:30\)?\n$/],
      ["process.exit(3);", /^ +at index\.mjs:1:9\n$/],
    ] as const) {
      const guest = await GuestDriver.start({ file: process.execPath, args: [nodejs] });
      t.after(() => guest.stop());
      const control = await guest.control();
      const loaded = control.load("index.mjs", guest.writeFiles({ "index.mjs": source })).catch(() => undefined);
      if (source.startsWith("export")) {
        await loaded;
        await control.init();
        (await guest.data()).start();
      }
      assert.equal((await within(guest.exited, "exit")).code, 3);
      await until(() => guest.stderr.includes("index.mjs"), "the last words");
      const [said, ...stack] = guest.stderr.split("\n");
      assert.equal(said, "process.exit(3) called by the function");
      assert.match(stack.join("\n"), frames);
    }
  });

  test("a missing dependency is named", async (t) => {
    assert.match((await refused(t, esm("import 'not-there';"))).error.message, /not-there/);
  });

  test("stacks point to the sources of bundled code", async (t) => {
    // Line 1 of the bundle stands for line 42 of the source.
    const map = { version: 3, sources: ["source.ts"], names: [], mappings: "AAyCA" };
    const source = `export default () => { throw new TypeError("it broke"); };\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(JSON.stringify(map)).toString("base64")}\n`;
    const { data } = await ready(t, esm(source));
    assert.match((await data.json({})).error!.stack!, /source\.ts:42/);
  });

  test("an uncaught exception ends its invocation, lets the others finish and then the process", async (t) => {
    const { guest, control, data } = await ready(
      t,
      esm(`export default ({ ms, broken }) => new Promise((resolve) => {
        setTimeout(() => { if (broken) throw new TypeError("in a timer"); resolve("finished"); }, ms);
      });`),
    );
    const other = data.start({ contentType: "application/json", body: '{"ms":150}' });
    await within(other.accepted, "ACCEPTED");
    const broken = data.start({ contentType: "application/json", body: '{"ms":5,"broken":true}' });
    const outcome = await broken.end();
    assert.deepEqual([outcome.kind, outcome.code, outcome.error?.message], ["error", "function-error", "in a timer"]);
    assert.equal((await data.json({ ms: 0 })).reason, "draining");
    assert.equal((await other.end()).body.toString(), "finished");
    assert.deepEqual(await within(guest.exited, "exit"), { code: 1, signal: null });
    const entry = await control.log((entry) => entry.text.includes("in a timer"), "of the exception");
    assert.deepEqual([entry.level, entry.invocation], ["error", broken.id]);
  });

  test("an uncaught exception of no invocation is logged and ends the process", async (t) => {
    const { guest, control } = await ready(
      t,
      esm(
        "export default () => 1; export const init = () => { setTimeout(() => { throw new TypeError('later'); }, 50); };",
      ),
    );
    assert.deepEqual(await within(guest.exited, "exit"), { code: 1, signal: null });
    const entry = await control.log((entry) => entry.text.includes("later"), "of the exception");
    assert.deepEqual([entry.level, entry.invocation], ["error", undefined]);
  });

  test("an unhandled rejection ends its invocation and nothing else", async (t) => {
    const { control, data } = await ready(
      t,
      esm(
        "export default ({ broken }) => { if (!broken) return 'fine'; Promise.reject(new TypeError('let go')); return new Promise(() => {}); };",
      ),
    );
    const outcome = await data.json({ broken: true });
    assert.deepEqual([outcome.kind, outcome.code, outcome.error?.message], ["error", "function-error", "let go"]);
    assert.equal((await data.json({})).body.toString(), "fine");
    assert.equal(await control.ping(), 0);
  });

  test("what is thrown while init waits fails init", async (t) => {
    const guest = await GuestDriver.start(command);
    t.after(() => guest.stop());
    const control = await guest.control();
    const source =
      "export default () => 1; export const init = () => { Promise.reject(new TypeError('let go')); return new Promise(() => {}); };";
    await control.load("index.mjs", guest.writeFiles({ "index.mjs": source }));
    const outcome = await control.init();
    assert.ok(outcome.kind === "failed");
    assert.match(outcome.failed.error.message, /let go/);
  });

  test("things that are odd to throw or answer do no harm", async (t) => {
    const { data } = await ready(
      t,
      esm(`
        const odd = {
          nothing() { throw undefined; },
          proxy() { throw new Proxy(new Error("x"), { get() { throw new Error("no"); } }); },
          object() { throw { code: 7 }; },
          long() { throw new Error("m".repeat(100_000)); },
          toJSON() { return { toJSON() { throw new Error("no JSON"); } }; },
          symbol() { return Symbol("s"); },
          function() { return () => 1; },
          thenable() { return { then(resolve) { resolve("then"); } }; },
          getter() { return { get then() { throw new TypeError("got"); } }; },
          async *mixed() { yield "a"; yield { not: "bytes" }; },
          used() { const response = new Response("x"); response.text(); return response; },
          error() { return Response.error(); },
        };
        export default ({ form }) => odd[form]();
      `),
    );
    const expected: Record<string, [string, string | undefined]> = {
      nothing: ["error", "function-error"],
      proxy: ["error", "function-error"],
      object: ["error", "function-error"],
      long: ["error", "function-error"],
      toJSON: ["error", "answer-invalid"],
      symbol: ["error", "answer-invalid"],
      function: ["error", "answer-invalid"],
      thenable: ["ok", undefined],
      getter: ["error", "function-error"],
      mixed: ["error", "answer-invalid"],
      used: ["error", "answer-invalid"],
      error: ["error", "answer-invalid"],
    };
    for (const [form, [kind, code]] of Object.entries(expected)) {
      const outcome = await data.json({ form });
      assert.deepEqual([outcome.kind, outcome.code], [kind, code], form);
    }
    assert.equal((await data.json({ form: "thenable" })).body.toString(), "then");
  });

  test("Responses and streams of each kind are sent, and stopped when the caller leaves", async (t) => {
    const { control, data } = await ready(
      t,
      esm(`
        import { Readable } from "node:stream";
        const endless = () => new Readable({ read() {}, destroy(error, done) { console.log("destroyed"); done(error); } });
        const forms = {
          response: () => Response.json({ a: 1 }, { status: 418 }),
          node: () => Readable.from([Buffer.from("no"), Buffer.from("de")]),
          web: () => new ReadableStream({ start(it) { it.enqueue("we"); it.enqueue("b"); it.close(); } }),
          endlessNode: endless,
          endlessWeb: () => new ReadableStream({ cancel() { console.log("cancelled"); } }),
          async *endlessGenerator(signal) { try { for (;;) { yield "x"; await new Promise((go) => setTimeout(go, 1)); } } finally { console.log("returned"); } },
        };
        export default ({ form }, { signal }) => forms[form](signal);
      `),
    );
    const response = await data.json({ form: "response" });
    assert.equal(response.status, 418);
    assert.deepEqual(headerValues(response.headers, "content-type"), ["application/json"]);
    assert.equal((await data.json({ form: "node" })).body.toString(), "node");
    assert.equal((await data.json({ form: "web" })).body.toString(), "web");
    for (const [form, says] of [
      ["endlessNode", "destroyed"],
      ["endlessWeb", "cancelled"],
      ["endlessGenerator", "returned"],
    ]) {
      const endless = data.start({ contentType: "application/json", body: JSON.stringify({ form }) });
      await within(endless.accepted, "ACCEPTED");
      if (form === "endlessGenerator") await until(() => endless.received > 0, "a piece");
      endless.cancel();
      assert.equal((await endless.end()).kind, "cancelled", form);
      await control.log((entry) => entry.text === says, `${says} by ${form}`);
    }
    assert.equal(await control.ping(), 0);
  });

  test("what was streamed before a failure is sent, whatever streams it", async (t) => {
    const { control, data } = await ready(
      t,
      esm(`
        import { Readable } from "node:stream";
        async function* pieces(encode = (text) => text) { yield encode("first"); throw new TypeError("then it broke"); }
        const bytes = () => pieces((text) => Buffer.from(text));
        const readable = () => { let asked = 0; return new Readable({ read() { if (asked++ === 0) this.push("first"); else this.destroy(new TypeError("then it broke")); } }); };
        const web = () => { let asked = 0; return new ReadableStream({ pull(it) { if (asked++ > 0) throw new TypeError("then it broke"); it.enqueue(Buffer.from("first")); } }); };
        const forms = {
          generator: () => pieces(), readable, from: () => Readable.from(pieces()), web, webFrom: () => ReadableStream.from(bytes()),
          response: () => new Response(web()), ofGenerator: () => new Response(bytes()), ofReadable: () => new Response(Readable.from(bytes())),
        };
        export default ({ form }) => forms[form]();
      `),
    );
    const forms = ["generator", "readable", "from", "web", "webFrom", "response", "ofGenerator", "ofReadable"];
    for (const form of forms) {
      const running = data.start({ contentType: "application/json", body: JSON.stringify({ form }) });
      const outcome = await running.end();
      assert.deepEqual([outcome.kind, outcome.status, outcome.code], ["error", 200, "function-error"], form);
      assert.equal(outcome.body.toString(), "first", form);
      await control.log(
        ({ invocation, text }) => invocation === running.id && text.includes("then it broke"),
        `of the failure of ${form}`,
      );
    }
  });

  test("a generator may fill the same buffer for each piece", async (t) => {
    const { data } = await ready(
      t,
      esm(
        "export default async function* () { const piece = Buffer.alloc(50_000); for (const fill of 'abc') { piece.fill(fill); yield piece; } }",
      ),
    );
    const outcome = await data.json({});
    assert.ok(outcome.body.equals(Buffer.from("a".repeat(50_000) + "b".repeat(50_000) + "c".repeat(50_000))));
  });

  test("the fetch style's signal is aborted when the caller leaves", async (t) => {
    const { control, data } = await ready(
      t,
      esm(
        "export default { fetch: (request) => new Promise((_resolve, reject) => request.signal.addEventListener('abort', () => { console.log('left'); reject(request.signal.reason); })) };",
      ),
    );
    const running = data.start();
    await within(running.accepted, "ACCEPTED");
    running.cancel();
    assert.equal((await running.end()).kind, "cancelled");
    assert.equal((await control.log((entry) => entry.text === "left", "of the abort")).invocation, running.id);
  });

  test("all of console ends up in the log, with its level and whole lines", async (t) => {
    const { control, data } = await ready(
      t,
      esm(`
        export default () => {
          console.log("a %d", 1, { b: [2] });
          console.group("group");
          console.warn("inside");
          console.groupEnd();
          console.table([{ c: 3 }]);
          console.assert(false, "asserted");
          console.log("two\\nlines");
          process.stdout.write("part");
          process.stdout.write("ly\\n");
          process.stdout.write(new Uint8Array([104, 105]));
          process.emitWarning("careful");
          process.stdout.end();
          console.log();
          return new Promise((resolve) => setTimeout(resolve, 5));
        };
      `),
    );
    await data.json({});
    await control.log((entry) => entry.text.includes("careful"), "of the warning");
    const seen = control.logs.map(({ stream, level, text }) => `${stream} ${level} ${text}`);
    for (const line of [
      "stdout info a 1 { b: [ 2 ] }",
      "stdout info group",
      "stderr warn   inside",
      "stderr warn Assertion failed: asserted",
      "stdout info two\nlines",
      "stdout info partly",
      "stderr warn Warning: careful",
    ])
      assert.ok(seen.includes(line), `${line} is not in ${JSON.stringify(seen)}`);
    assert.ok(seen.some((line) => line.includes("│ (index) │ c │")));
    assert.ok(seen.some((line) => line.startsWith("stdout info hi")));
  });

  test("bytes given to a handler are its own", async (t) => {
    const { data } = await ready(
      t,
      esm("export default (input) => [input.buffer.byteLength, Buffer.isBuffer(input)];"),
    );
    const [first, second] = await Promise.all([data.invoke({ body: "abc" }), data.invoke({ body: "defg" })]);
    assert.deepEqual([first.body.toString(), second.body.toString()], ["[3,true]", "[4,true]"]);
  });

  test("is bundled to one file that loads nothing else and runs the same", async (t) => {
    const { bundleGuests } = await import("#guest/bundle.ts");
    const folder = mkdtempSync(join(tmpdir(), "colibri-bundle-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const [{ nodejs }, again] = await Promise.all([bundleGuests(folder), bundleGuests(folder)]);
    assert.equal(again.nodejs, nodejs);
    const made = statSync(nodejs).mtimeMs;
    await bundleGuests(folder);
    assert.equal(statSync(nodejs).mtimeMs, made, "not made again");
    const imports = readFileSync(nodejs, "utf8").match(/^import .* from "(.*)";$/gm) ?? [];
    assert.ok(imports.length > 0 && imports.every((line) => line.includes('"node:')), imports.join("\n"));
    for (const execution of ["loop", "process"] as const) {
      const guest = await GuestDriver.start({ file: process.execPath, args: [nodejs] });
      t.after(() => guest.stop());
      const { data } = await guest.ready(esm("export default (input) => ['bundled', input];"), { execution });
      assert.equal((await data.json(1)).body.toString(), '["bundled",1]');
    }
  });

  test("headers beyond what an answer may have are the user's mistake, and nobody else's", async (t) => {
    const source = `export default (input) => new Response("x", { headers: input === "long" ? { x: "y".repeat(70_000) } : Array.from({ length: 1_100 }, (_, n) => ["x-" + n, "1"]) });`;
    const { data } = await ready(t, esm(source));
    for (const body of ["long", "many"]) {
      const end = await data.invoke({ contentType: "text/plain", body });
      assert.ok(end.kind === "error", JSON.stringify(end));
      assert.equal(end.code, "answer-invalid");
      assert.match(end.error?.message ?? "", /allowed$/);
    }
  });
});
