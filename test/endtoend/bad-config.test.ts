// Mistakes in colibri.yaml and in the command line are told with file, line, key and what would be right; nothing is deployed.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Platform, type Ran, startPlatform } from "./platform.ts";

interface Mistake {
  readonly name: string;
  readonly yaml: string;
  /** What the message must say: each a line and column with the key or the text, and what would be right. */
  readonly says: readonly RegExp[];
}

const app = (entry: string) => `app: shop\nfunctions:\n  cart:\n${entry.replaceAll(/^/gm, "    ")}\n`;

const MISTAKES: readonly Mistake[] = [
  { name: "broken YAML", yaml: "app: shop\nfunctions: {cart: [\n", says: [/colibri\.yaml:[23]/] },
  { name: "a tab for indentation", yaml: "app: shop\nfunctions:\n\tcart: {}\n", says: [/colibri\.yaml:3.*tab/i] },
  { name: "the same key twice", yaml: "app: shop\napp: shop2\nfunctions: {}\n", says: [/colibri\.yaml:2/] },
  { name: "an empty file", yaml: "", says: [/colibri\.yaml/, /app/] },
  { name: "a list", yaml: "- app\n", says: [/colibri\.yaml:1/] },
  { name: "no app", yaml: "functions: {}\n", says: [/app is missing/] },
  { name: "a name in capitals", yaml: "app: Shop\nfunctions: {}\n", says: [/colibri\.yaml:1.*Shop.*lower-case/] },
  {
    name: "an unknown key at the top",
    yaml: "app: shop\nfuncions: {}\n",
    says: [/colibri\.yaml:2.*funcions.*did you mean functions/],
  },
  {
    name: "an unknown key of a function",
    yaml: app("runtime: nodejs\nmemroy: 128MiB"),
    says: [/colibri\.yaml:5.*memroy.*did you mean memory/],
  },
  {
    name: "wrong types, all at once",
    yaml: app("runtime: nodejs\nconcurrency: many\nenv: [A, B]\ntriggers: {}\nscaling: 3"),
    says: [/:5.*concurrency/, /:6.*env/, /:7.*triggers/, /:8.*scaling/],
  },
  {
    name: "sizes and times without or with a wrong unit",
    yaml: app("runtime: nodejs\nmemory: 128\ntimeout: 30 sec"),
    says: [/:5.*128.*128MiB/, /:6.*30 sec.*30s/],
  },
  {
    name: "out of range",
    yaml: app("runtime: nodejs\nmemory: 1MiB\ntimeout: 1ms\nconcurrency: 0"),
    says: [/:5.*memory/, /:6.*timeout/, /:7.*concurrency/],
  },
  {
    name: "more at least than at most",
    yaml: app("runtime: nodejs\nscaling: { min: 5, max: 2 }"),
    says: [/:5.*min \(5\) must not be greater than max \(2\)/],
  },
  { name: "no runtime", yaml: app("handler: index.mjs"), says: [/runtime is missing.*nodejs, python/] },
  { name: "an unknown runtime", yaml: app("runtime: nodjs"), says: [/:4.*nodjs.*did you mean nodejs/] },
  { name: "a runtime of later", yaml: app("runtime: java"), says: [/:4.*java.*not part of this version/] },
  {
    name: "no such handler file",
    yaml: app("runtime: nodejs\nhandler: idnex.mjs"),
    says: [/:5.*there is no file "cart\/idnex\.mjs"/],
  },
  {
    name: "no such folder",
    yaml: app("runtime: nodejs\nsource: ./carts"),
    says: [/:5.*there is no folder "carts"/],
  },
  {
    name: "a source outside",
    yaml: app("runtime: nodejs\nsource: ../../etc"),
    says: [/:5.*source/],
  },
  {
    name: "a handler outside",
    yaml: app("runtime: nodejs\nhandler: ../../../etc/passwd"),
    says: [/:5.*handler/],
  },
  {
    name: "a trigger on a path of the platform's own",
    yaml: app("runtime: nodejs\ntriggers: [{ http: GET /fn/other }]"),
    says: [/:5.*\/fn/],
  },
  {
    name: "a timer that is none",
    yaml: app('runtime: nodejs\ntriggers: [{ timer: "every day" }]'),
    says: [/:5.*every day/],
  },
];

let platform: Platform;
before(async () => {
  platform = await startPlatform();
});
after(async () => {
  await platform.close();
});

function deployYaml(yaml: string): Promise<Ran> {
  const folder = join(platform.place.work, "shop");
  mkdirSync(join(folder, "cart"), { recursive: true });
  writeFileSync(join(folder, "cart", "index.mjs"), "export default () => 1;");
  writeFileSync(join(folder, "colibri.yaml"), yaml);
  return platform.colibri("deploy", "shop");
}

describe("colibri deploy refuses", () => {
  for (const { name, yaml, says } of MISTAKES)
    test(name, async () => {
      const { code, out, err } = await deployYaml(yaml);
      assert.deepEqual([code, out], [1, ""], err);
      for (const pattern of says) assert.match(err, pattern);
      assert.doesNotMatch(err, /\n +at /, "a stack is shown");
    });

  test("a folder without colibri.yaml, showing how one looks", async () => {
    mkdirSync(join(platform.place.work, "empty"));
    const { code, err } = await platform.colibri("deploy", "empty");
    assert.equal(code, 1);
    assert.match(err, /colibri\.yaml[\s\S]*runtime: nodejs/);
  });

  test("a folder that is not there", async () => {
    const { code, err } = await platform.colibri("deploy", "nowhere");
    assert.equal(code, 1);
    assert.match(err, /nowhere/);
  });

  test("and nothing of all this was deployed", async () => {
    const { code, out } = await platform.colibri("list", "--json");
    assert.deepEqual([code, JSON.parse(out)], [0, []]);
  });
});

test("a path that two apps claim belongs to the first: the second is told whose it is", async () => {
  const claiming = app("runtime: nodejs\ntriggers: [{ http: GET /cart }]");
  assert.equal((await deployYaml(claiming)).code, 0);
  const { code, err } = await deployYaml(claiming.replace("app: shop", "app: other"));
  assert.equal(code, 1);
  assert.match(err, /GET \/cart.*shop\/cart/);
});

describe("the command line refuses", () => {
  const REFUSED: readonly [args: string[], code: number, says: RegExp][] = [
    [["depoly"], 2, /depoly[\s\S]*deploy/],
    [["deploy", "--prnue"], 2, /--prnue[\s\S]*--prune/],
    [["invoke", "shop"], 2, /<app>\/<function>/],
    [["invoke", "shop/nothing"], 5, /shop\/nothing/],
    [["logs", "shop/cart", "--since", "yesterday"], 2, /yesterday/],
    [["inspect", "../../etc"], 2, /etc/],
  ];
  for (const [args, code, says] of REFUSED)
    test(`colibri ${args.join(" ")}`, async () => {
      const ran = await platform.colibri(...args);
      assert.equal(ran.code, code, ran.err);
      assert.match(ran.err, says);
    });
});
