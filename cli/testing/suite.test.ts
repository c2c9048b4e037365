import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FixturePlatform } from "../fixture/platform.ts";
import { envFor, onTerminal, temporaryFolder } from "../fixture/run.ts";

const CASES = `functions:
  about:
    - name: is asked
      expect: { contains: { method: GET } }
    - name: takes a file
      request: { file: data.txt }
      expect: { contains: { method: POST } }
`;

describe("colibri test, of what runs elsewhere", () => {
  let platform: FixturePlatform;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    platform.addFunction("shop", "about");
  });
  afterEach(() => platform.stop());

  function place(t: { after(action: () => void): void }, files: Readonly<Record<string, string>>) {
    const cwd = temporaryFolder(t);
    mkdirSync(join(cwd, "cases"));
    for (const [path, text] of Object.entries(files)) writeFileSync(join(cwd, path), text);
    const env = { ...envFor(platform), NO_COLOR: "1" };
    return { cwd, run: (...args: string[]) => onTerminal(["test", ...args], { cwd, env }) };
  }

  test("needs no colibri.yaml: cases lie here, or where --file says", async (t) => {
    const { run } = place(t, { "cases/shop.yaml": CASES, "cases/data.txt": "x" });
    const named = await run("shop/about", "--deployed", "--file", "cases/shop.yaml");
    assert.deepEqual([named.code, named.err], [0, ""]);
    assert.match(named.out, /2 passed/);
    const junit = await run("shop/about", "--deployed", "--file", "cases/shop.yaml", "--junit", "no/report.xml");
    assert.deepEqual([junit.code, /--junit no\/report\.xml can't be written: there is no/.test(junit.err)], [1, true]);
    const beside = place(t, { "colibri.test.yaml": CASES, "data.txt": "x" });
    const json = await beside.run("shop/about", "--url", platform.url, "--json");
    assert.deepEqual(
      JSON.parse(json.out).map(({ outcome }: { outcome: string }) => outcome),
      ["passed", "passed"],
    );
  });

  test("without an app's name, or with another one's, the colibri.yaml beside the cases tells", async (t) => {
    const yaml = "app: shop\nfunctions: { about: { runtime: nodejs, source: ., handler: index.mjs } }\n";
    const { run } = place(t, {
      "cases/colibri.yaml": yaml,
      "cases/index.mjs": "",
      "cases/c.yaml": CASES,
      "cases/data.txt": "x",
    });
    assert.equal((await run("--deployed", "--file", "cases/c.yaml")).code, 0);
    const other = await run("media/about", "--deployed", "--file", "cases/c.yaml");
    assert.deepEqual([other.code, /The app in cases is shop, not media/.test(other.err)], [2, true]);
  });

  test("what is missing is named, with where it could be", async (t) => {
    const { cwd, run } = place(t, { "colibri.test.yaml": CASES.replace("data.txt", "link"), "cases/x": "" });
    const local = await run("shop/about");
    assert.equal(local.code, 2);
    assert.match(local.err, /no colibri\.yaml here, so that shop\/about can't be run on this machine/);
    assert.match(local.err, /colibri test shop\/about --deployed --file/);
    const file = await run("shop/about", "--deployed", "--file", "none.yaml");
    assert.deepEqual([file.code, /--file none\.yaml: there is no such file/.test(file.err)], [2, true]);
    symlinkSync("/etc/passwd", join(cwd, "link"));
    const outside = await run("shop/about", "--deployed");
    assert.equal(outside.code, 2);
    assert.match(outside.err, /colibri\.test\.yaml:6:24: .*request\.file: "link" leads out of the folder/);
    assert.equal(platform.requests.length, 0);
  });

  test("a pattern that takes for ever fails its case, which is named", async (t) => {
    const text = `request: { text: ${"a".repeat(60)}! }, expect: { matches: "^(a+)+$" }`;
    platform.addFunction("shop", "echo");
    const cases = `functions:\n  echo:\n    - { name: bomb, ${text} }\n`;
    const { run } = place(t, { "colibri.test.yaml": cases });
    const { code, out } = await run("shop/echo", "--deployed");
    assert.equal(code, 1);
    assert.match(out, /✗ bomb.*\n +matches: \^\(a\+\)\+\$ was given up after 1 s/);
  });
});
