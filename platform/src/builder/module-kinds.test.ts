import assert from "node:assert/strict";
import { test } from "node:test";
import type { Files } from "./builder.fixture.ts";
import { failureOf, inShop } from "./shop.fixture.ts";

test("an ES module under a name or a package.json that says CommonJS is refused, with what to do", () =>
  inShop(async (shop) => {
    const code = "export default () => 1;";
    const commonjs = { "package.json": '{"type":"commonjs"}' };
    const cases: [string, Files, RegExp][] = [
      ["index.js", { "index.js": code, ...commonjs }, /package\.json says "type": "commonjs": write "type": "module"/],
      ["a/index.js", { "a/index.js": code, ...commonjs }, /or name the file a\/index\.mjs/],
      ["index.cjs", { "index.cjs": code }, /a \.cjs file can't have: name the file index\.mjs/],
    ];
    for (const [handler, files, message] of cases)
      assert.match(await failureOf(shop.build(files, { handler })), message);
    await shop.build({ "index.js": "module.exports = () => 1;", ...commonjs }, { handler: "index.js" });
    await shop.build({ "index.js": code, "package.json": "{}" }, { handler: "index.js" });
  }));

test("a CommonJS file under a name or a package.json that says ES module is refused, with what to do", () =>
  inShop(async (shop) => {
    const module = { "package.json": '{"type":"module"}' };
    const cases: [string, Files, RegExp][] = [
      [
        "a/index.mjs",
        { "a/index.mjs": "module.exports = () => 1;" },
        /a file named so can't have: .* file a\/index\.cjs and/,
      ],
      [
        "index.mjs#run",
        { "index.mjs": "exports.run = () => 1;" },
        /^build-failed: index\.mjs is written with module\.exports/,
      ],
      [
        "index.js",
        { "index.js": "module.exports = () => 1;", ...module },
        /package\.json says "type": "module": write "export default" instead, or name the file index\.cjs and let/,
      ],
    ];
    for (const [handler, files, message] of cases)
      assert.match(await failureOf(shop.build(files, { handler })), message);
    await shop.build({ "index.mjs": "const module = {}; module.exports = 1; export default () => module;" });
  }));
