import assert from "node:assert/strict";
import { test } from "node:test";
import type { Files } from "./builder.fixture.ts";
import { failureOf, inShop } from "./shop.fixture.ts";

test("a file of the function's own that is asked for and not there is refused, with what was perhaps meant", () =>
  inShop(async (shop) => {
    const cases: [string, Files, RegExp][] = [
      [
        "index.mjs",
        { "index.mjs": 'import { x } from "./missing.mjs"; export default x;' },
        /^build-failed: index\.mjs imports "\.\/missing\.mjs", but there is no such file\. Correct the path/,
      ],
      [
        "a/index.mjs",
        { "a/index.mjs": 'export { default } from "../lib";', "lib.mjs": "export default 1;" },
        /^build-failed: a\/index\.mjs imports "\.\.\/lib", .* Did you mean "\.\.\/lib\.mjs"\?/,
      ],
      [
        "index.mjs",
        { "index.mjs": 'import "./lib.mjs"; export default 1;', "lib.mjs": 'import "./dir";', "dir/index.js": "" },
        /^build-failed: lib\.mjs imports "\.\/dir", .* Did you mean "\.\/dir\/index\.js"\?/,
      ],
      [
        "index.mjs",
        { "index.mjs": 'import "../up.mjs"; export default 1;' },
        /^build-failed: index\.mjs imports "\.\.\/up\.mjs", which lies outside of the function's folder/,
      ],
      [
        "index.cjs",
        { "index.cjs": 'const { a } = require("./gone");' },
        /index\.cjs requires "\.\/gone", but there is no/,
      ],
      [
        "index.js",
        { "index.js": 'const lib = require("./lib");', "lib.js": 'module.exports = require("./deep");' },
        /^build-failed: lib\.js requires "\.\/deep"/,
      ],
    ];
    for (const [handler, files, message] of cases)
      assert.match(await failureOf(shop.build(files, { handler })), message);
  }));

test("a file of the function's own that Node finds is let pass", () =>
  inShop(async (shop) => {
    const files: Files = {
      "a b.mjs": "export default 1;",
      "data.json": "{}",
      "plain.js": "",
      "dir/index.js": "",
      "packed/package.json": '{"main":"x.js"}',
      "packed/x.js": "",
      "broken.js": "const a = ;",
    };
    const module =
      'import a from "./a%20b.mjs?v=1"; import d from "./data.json" with { type: "json" }; import "./broken.js"; export default a;';
    await shop.build({ ...files, "index.mjs": module });
    const script =
      'require("./plain"); require("./data"); require("./dir"); require("./dir/"); require("./packed");\nmodule.exports = 1;';
    await shop.build({ ...files, "index.cjs": script }, { handler: "index.cjs" });
    assert.deepEqual(warnings(shop.steps), []);
  }));

test("a file that may be asked for later and is not there is told, unless that is provided for", () =>
  inShop(async (shop) => {
    const module = [
      'export const later = () => import("./later.mjs");',
      'try { await import("./tried.mjs"); } catch {}',
      'import("./caught.mjs").catch(() => {});',
      "export default later;",
    ];
    await shop.build({ "index.mjs": module.join("\n") });
    const script =
      'try { require("./tried"); } catch {}\nif (process.env.X) require("./perhaps");\nmodule.exports = 1;';
    await shop.build({ "index.cjs": script }, { handler: "index.cjs" });
    assert.deepEqual(warnings(shop.steps), [
      'Warning: index.mjs:1 asks for "./later.mjs" when it runs, but there is no such file',
      'Warning: index.cjs:2 asks for "./perhaps" when it runs, but there is no such file',
    ]);
  }));

function warnings(steps: readonly string[]): string[] {
  return steps.filter((step) => step.startsWith("Warning:"));
}
