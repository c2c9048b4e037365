import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { bundleGuests } from "#guest/bundle.ts";
import { GuestDriver } from "#guest/testing/guest-driver.ts";

/** As it is shipped: frames of the guest are told by its one file. */
const folder = mkdtempSync(join(tmpdir(), "colibri-guest-"));
const command = { file: process.execPath, args: [(await bundleGuests(folder)).nodejs] };
after(() => rmSync(folder, { recursive: true, force: true }));

/** A guest below whose folder somebody has installed the package `stray`, outside of any bundle. */
async function beside(t: TestContext) {
  const guest = await GuestDriver.start(command);
  t.after(() => guest.stop());
  const stray = join(guest.folder, "node_modules", "stray");
  mkdirSync(stray, { recursive: true });
  writeFileSync(join(stray, "package.json"), '{"name":"stray","main":"index.js"}');
  writeFileSync(join(stray, "index.js"), "module.exports = 'stray';");
  return guest;
}

test("a package above the bundle is not found by import, and said as its author knows the file", async (t) => {
  const guest = await beside(t);
  const control = await guest.control();
  const root = guest.writeFiles({ "index.mjs": 'import stray from "stray"; export default () => stray;' });
  const loaded = await control.load("index.mjs", root);
  assert.ok(loaded.kind === "failed");
  assert.equal(loaded.failed.error.message, "Cannot find package 'stray' imported from index.mjs");
});

test("nor by require, which may be tried; what the bundle brings is found", async (t) => {
  const guest = await beside(t);
  const files = {
    "index.cjs":
      "let code; try { require('stray'); } catch (error) { code = error.code; } module.exports = () => [code, require('own')];",
    "node_modules/own/package.json": '{"name":"own","main":"index.js"}',
    "node_modules/own/index.js": "module.exports = 'own';",
  };
  const { data } = await guest.ready({ handler: "index.cjs", files });
  const { body } = await data.json(null);
  assert.deepEqual(JSON.parse(String(body)), ["MODULE_NOT_FOUND", "own"]);
});

test("a stack has the function's frames, by the names of its files, and nobody else's", async (t) => {
  const guest = await beside(t);
  const files = {
    "index.mjs": "import { fail } from './lib/fail.mjs'; export default () => fail();",
    "lib/fail.mjs": "export function fail() { throw new Error('kaputt'); }",
  };
  const { control, data } = await guest.ready({ handler: "index.mjs", files });
  await data.invoke({ contentType: "application/json", body: "null" });
  const entry = await control.log(({ text }) => text.includes("kaputt"), "of the error");
  assert.match(entry.text, /at fail \(lib\/fail\.mjs:1:/);
  assert.doesNotMatch(entry.text, /file:|main\.ts|invocation\.ts|node:internal/);
});
