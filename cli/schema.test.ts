import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { onTerminal, temporaryFolder } from "./fixture/run.ts";

const LINE = "# yaml-language-server: $schema=./colibri.schema.json";
const APP = "app: shop\nfunctions: { f: { runtime: nodejs } }\n";
const SCHEMA = readFileSync(new URL("../contract/config/colibri.schema.json", import.meta.url), "utf8");

for (const [what, before] of [
  ["where there is none", APP],
  ["in place of one that leads elsewhere", `# yaml-language-server: $schema=../../schema.json\n${APP}`],
  ["and again", `${LINE}\n${APP}`],
])
  test(`schema: the file, and the line that leads to it, ${what}`, async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, "colibri.yaml"), before!);
    const { code, out } = await onTerminal(["schema"], { cwd: folder });
    assert.equal(code, 0);
    assert.match(out, /^colibri\.schema\.json is written/);
    assert.equal(readFileSync(join(folder, "colibri.yaml"), "utf8"), `${LINE}\n${APP}`);
    assert.equal(readFileSync(join(folder, "colibri.schema.json"), "utf8"), SCHEMA);
  });

test("schema --print writes nothing", async (t) => {
  const { code, out } = await onTerminal(["schema", "--print"], { cwd: temporaryFolder(t) });
  assert.deepEqual([code, out], [0, SCHEMA]);
});

test("schema without colibri.yaml says so", async (t) => {
  const { code, err } = await onTerminal(["schema", "shop"], { cwd: temporaryFolder(t) });
  assert.equal(code, 1);
  assert.match(err, /There is no colibri\.yaml in shop\./);
});
