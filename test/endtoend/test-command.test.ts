import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { DevRun } from "./dev-run.ts";
import { CHECKOUT, finish, type Ran } from "./platform.ts";

const CASES = `functions:
  hello:
    - name: greets by name
      request: { json: { name: Ada } }
      expect: { json: { hello: Ada } }
    - name: is asked by its trigger
      request: { url: /hello/Eve }
      expect: { json: { hello: Eve }, headers: { content-type: /json/ } }
    - name: returns what it is given
      request: { path: /echo, file: photo.bin }
      expect: { file: photo.bin }
    - name: refuses nobody
      request: { method: post, path: "?fail=1" }
      expect: { status: 500, error: function-error }
    - name: is not there yet
      skip: later
      expect: { status: 200 }
  typed:
    - name: answers
      expect: { text: typed }
`;
const FILES = {
  "colibri.yaml": `app: shop
functions:
  hello:
    runtime: nodejs
    triggers: [{ http: "GET /hello/{name}" }]
  typed: { runtime: nodejs, handler: index.ts }
`,
  "hello/index.mjs": `export default (input, { request }) => {
  if ("fail" in request.query) { console.log("about to fail"); throw new Error("as asked"); }
  if (request.path === "/echo") return input;
  return { hello: input?.name ?? request.params?.name };
};
`,
  "typed/index.ts": `export default (): string => "typed";\n`,
  "photo.bin": "\u0001\u0002 bytes",
  "colibri.test.yaml": CASES,
};

describe("colibri test", () => {
  const run = new DevRun(FILES);
  const colibri = (...args: string[]): Promise<Ran> => finish(run.spawn(...args));
  after(() => run.close());

  test("calls guests of this machine, and leaves nothing of them", async () => {
    const { code, out, err } = await colibri("test", "--junit", "report.xml");
    assert.deepEqual([code, err], [0, ""]);
    const shown = out.replace(/ {2}[\d.]+ms$/gm, "").replace(/in [\d.]+m?s/, "in time");
    assert.equal(
      shown,
      `hello
  ✓ greets by name
  ✓ is asked by its trigger
  ✓ returns what it is given
  ✓ refuses nobody
  - is not there yet  skipped: later
typed
  ✓ answers

5 passed, 1 skipped in time
`,
    );
    assert.match(
      readFileSync(join(run.app, "report.xml"), "utf8"),
      /<testsuite name="shop\/hello" tests="5" failures="0" skipped="1"/,
    );
    assert.deepEqual([run.processes(), run.left()], [[], []]);
  });

  test("says what was not as expected and what was logged, with exit code 1", async () => {
    run.write(
      "colibri.test.yaml",
      CASES.replace("hello: Ada }", "hello: Eve }").replace("status: 500, error: function-error", "status: 200"),
    );
    const { code, out } = await colibri("test", "shop/hello", "--filter", "S N");
    assert.deepEqual([code, /refuses nobody/.test(out)], [1, true]);
    assert.match(
      out,
      /✗ refuses nobody.*\n +status: expected 200, got 500 \(function-error: (?:Error: )?as asked\)\n +log:\n +about to fail/,
    );
    const json = await colibri("test", "--function", "hello", "--json");
    assert.equal(json.code, 1);
    const results: { name: string; outcome: string; problems?: string[] }[] = JSON.parse(json.out);
    assert.deepEqual(
      results.map(({ outcome }) => outcome),
      ["failed", "passed", "passed", "failed", "skipped"],
    );
    assert.deepEqual(results[0]?.problems, ['json:\n  .hello: expected "Eve", got "Ada"']);
    run.write("colibri.test.yaml", CASES);
  });

  test("code that does not load is told as callers are told", async () => {
    run.write("typed/index.ts", "export default (): string => ;\n");
    const { code, out } = await colibri("test", "shop/typed");
    assert.equal(code, 1);
    assert.match(out, /status: expected less than 400, got 422 \(build-failed: .*index\.ts:1:30: Unexpected ";"/);
    run.write("typed/index.ts", FILES["typed/index.ts"]);
  });

  test("a broken file of cases, none at all or none that fits is exit code 2", async (t) => {
    t.after(() => run.write("colibri.test.yaml", CASES));
    run.write("colibri.test.yaml", CASES.replace("status: 500", "stats: 500"));
    const broken = await colibri("test");
    assert.deepEqual([broken.code, broken.out], [2, ""]);
    assert.match(
      broken.err,
      /1 mistake in colibri\.test\.yaml:\n\n +colibri\.test\.yaml:14:17: .*stats: is no key of this file; did you mean status\?\n +14 \|/,
    );
    run.write("colibri.test.yaml", CASES);
    const none = await colibri("test", "--filter", "nothing of the kind");
    assert.deepEqual([none.code, none.err.includes("No case in colibri.test.yaml fits")], [2, true]);
    const other = await colibri("test", "other/hello");
    assert.deepEqual([other.code, other.err.includes("The app here is shop, not other")], [2, true]);
    run.remove("colibri.test.yaml");
    const missing = await colibri("test");
    assert.deepEqual([missing.code, missing.err.includes("There is no colibri.test.yaml in this folder")], [2, true]);
    // What it proposes fits the functions there are: it passes as it stands.
    const proposed = missing.err.slice(missing.err.indexOf("    functions:\n")).replace(/^ {4}/gm, "");
    assert.match(proposed, /^functions:\n {2}hello:\n.*url: "\/hello\/1".*\n {2}typed:\n/s);
    run.write("colibri.test.yaml", proposed);
    const taken = await colibri("test");
    assert.deepEqual([taken.code, /^2 passed in/m.test(taken.out)], [0, true], taken.err + taken.out);
    run.write("colibri.test.yaml", proposed.slice(0, proposed.indexOf("  typed:")));
    const without = await colibri("test", "shop/typed");
    assert.deepEqual(
      [without.code, without.err.includes("    typed:\n"), without.err.includes("hello:\n")],
      [2, true, false],
    );
    run.write("colibri.test.yaml", CASES);
  });

  describe("against what runs elsewhere", () => {
    before(() => run.start());

    test("calls an address, or the platform that is found", async () => {
      const byUrl = await colibri("test", "--url", run.url);
      assert.deepEqual([byUrl.code, byUrl.err], [0, ""]);
      await run.says(/POST \/fn\/shop\/hello 200/);
      const from = run.said.length;
      const environment = { COLIBRI_URL: run.url, COLIBRI_FUNCTIONS_URL: run.url, COLIBRI_TOKEN: "none" };
      const child = run.place.spawn(["test", "--deployed", "shop/typed"], run.app, environment);
      assert.equal((await finish(child)).code, 0);
      await run.says(/GET \/fn\/shop\/typed 200/, from);
      assert.equal((await colibri("test", "--url", "here")).code, 2);
    });

    test("an address where nobody answers fails every case", async () => {
      await run.stop();
      const { code, out } = await colibri("test", "--url", run.url, "shop/typed");
      assert.equal(code, 1);
      assert.match(out, /✗ answers.*\n +no answer came: /);
    });
  });
});

test("the examples' own cases pass", async () => {
  const run = new DevRun({});
  try {
    const { code, out, err } = await finish(run.spawn("test", join(CHECKOUT, "examples", "hello")));
    assert.deepEqual([code, err], [0, ""], out);
  } finally {
    await run.close();
  }
});
