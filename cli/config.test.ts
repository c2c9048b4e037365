import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import { parseAssignments, parseEnvFile } from "./config/assignments.ts";
import { FixturePlatform } from "./fixture/platform.ts";
import { colibri, envFor, onTerminal, type Ran, temporaryFolder } from "./fixture/run.ts";

describe("config", () => {
  let platform: FixturePlatform;
  let env: Record<string, string>;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    env = { ...envFor(platform), NO_COLOR: "1" };
    const config = { ...CONFIG, environment: { REGION: "north", MODE: "fast" } };
    platform.addFunction("shop", "greet", { config, overridden: ["KEY", "REGION"] });
    platform.addFunction("shop", "pay");
    platform.config.set("shop", { app: { REGION: "south", ALL: "x" }, functions: { greet: { KEY: "hush" } } });
  });
  afterEach(() => platform.stop());
  const run = (...args: string[]): Promise<Ran> => onTerminal(["config", ...args], { env });

  test("set asks for the change, follows it and says what changed", async () => {
    const { code, out } = await run("set", "shop", "REGION=west=coast", "EMPTY=");
    assert.equal(code, 0);
    assert.deepEqual(platform.configChanges, [{ set: { REGION: "west=coast", EMPTY: "" } }]);
    assert.match(out, /^greet +configured +r2$/m);
    assert.match(out, /\n2 settings of shop set\.\n$/);
    assert.ok(platform.requests.some((line) => line.includes("/deployments/D1/events")));
    await run("set", "shop/greet", "A=1", "-o", "name");
    assert.deepEqual(platform.configChanges[1], { function: "greet", set: { A: "1" } });
  });

  test("what is not deployed has no settings yet: deploy it first", async () => {
    const { code, err } = await run("set", "my/add", "A=1");
    assert.equal(code, 5);
    assert.match(err, /There is no function my\/add\.[\s\S]*deploy it first/);
  });

  test("set from a file and from standard input; the command line counts more", async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, ".env"), "# of the shop\nexport A=1\nB='two words'\n");
    const args = ["config", "set", "shop", "A=2", "--from-file", ".env"];
    assert.equal((await onTerminal(args, { env, cwd })).code, 0);
    assert.deepEqual(platform.configChanges[0], { set: { A: "2", B: "two words" } });
    const piped = await colibri(["config", "set", "shop", "--from-file", "-"], { env, input: "C=3\n" });
    assert.equal(piped.code, 0, piped.err);
    assert.deepEqual(platform.configChanges[1], { set: { C: "3" } });
  });

  test("list: what is set, and for a function all that it runs with; values on request only", async () => {
    const app = await run("list", "shop");
    assert.match(app.out, /^ALL +•••• +config of shop$/m);
    assert.match(app.out, /^KEY +•••• +config of shop\/greet$/m);
    assert.match(app.out, /Values are shown with --values/);
    const fn = await run("list", "shop/greet");
    assert.match(fn.out, /^MODE +•••• +colibri\.yaml$/m);
    assert.match(fn.out, /^REGION +•••• +config of shop$/m);
    for (const args of [["shop"], ["shop/greet"], ["shop", "--json"], ["shop/greet", "-o", "yaml"]])
      assert.doesNotMatch((await run("list", ...args)).out, /hush|south/, args.join(" "));
    assert.match((await run("ls", "shop/greet", "--values")).out, /^KEY +hush +/m);
    const json = JSON.parse((await run("list", "shop/greet", "--values", "--json")).out);
    assert.deepEqual(json[1], { name: "KEY", from: "function", function: "greet", value: "hush" });
    platform.config.clear();
    assert.equal((await run("list", "shop")).out, "Nothing is set for shop.\n");
  });

  test("get prints the value that counts", async () => {
    assert.equal((await run("get", "shop/greet", "REGION")).out, "south\n");
    assert.equal((await run("get", "shop/greet", "MODE")).out, "fast\n");
    assert.equal((await run("get", "shop", "REGION")).out, "south\n");
    const none = await run("get", "shop", "KEY");
    assert.deepEqual([none.code, /KEY is not set for shop\./.test(none.err)], [5, true]);
    assert.match((await run("get", "shop/greet", "REGIN")).err, /Did you mean REGION\?/);
  });

  test("unset removes what is set there, and nothing else", async () => {
    const { code, out } = await run("unset", "shop", "ALL");
    assert.deepEqual([code, platform.configChanges], [0, [{ unset: ["ALL"] }]]);
    assert.match(out, /1 setting of shop removed\./);
    for (const [target, key] of [
      ["shop", "KEY"],
      ["shop/greet", "ALL"],
      ["shop", "MODE"],
    ] as const)
      assert.equal((await run("unset", target, key)).code, 5, `${target} ${key}`);
    assert.equal(platform.configChanges.length, 1);
  });

  test("inspect and deploy tell that something is set, not what", async () => {
    const { out } = await onTerminal(["inspect", "shop/greet"], { env });
    assert.match(out, /^env +MODE=fast$/m);
    assert.match(out, /^env +REGION: set by config$/m);
    assert.doesNotMatch(out, /REGION=|south|hush/);
  });

  test("what is wrong: told before anything is asked", async () => {
    const cases = [
      [["set", "shop"], 2, /Nothing is to be set/],
      [["set", "shop", "REGION"], 2, /"REGION" sets nothing: write KEY=VALUE/],
      [["set", "shop", "1A=x"], 2, /1A is no name of a variable/],
      [["set", "shop", "COLIBRI_HOME=x"], 2, /reserved for the platform/],
      [["set", "shop", "--from-file", "none"], 1, /--from-file none can't be read: there is no such file/],
      [["set", "a/b/c", "A=1"], 2, /"a\/b\/c" names no function/],
      [["unset", "shop"], 2, /missing required argument 'keys'/],
    ] as const;
    for (const [args, exit, message] of cases) {
      const { code, err } = await run(...args);
      assert.equal(code, exit, err);
      assert.match(err, message);
    }
    assert.deepEqual(platform.requests, []);
    const unknown = await run("set", "shp", "A=1");
    assert.deepEqual([unknown.code, /Did you mean shop\?/.test(unknown.err)], [5, true]);
  });
});

test("KEY=VALUE: the first = counts", () => {
  assert.deepEqual(parseAssignments(["A=b=c", "B=", "C= x "]), { A: "b=c", B: "", C: " x " });
  assert.throws(() => parseAssignments(["=x"]), /"" is no name of a variable/);
});

test(".env files", () => {
  const text = [
    "# comment",
    "",
    "PLAIN=value # a comment",
    "HASH=a#b",
    "export EXPORTED = spaced out ",
    "SINGLE='a \\n # \"b\"'",
    'DOUBLE="a\\n\\"b\\" \\$c \\\\ \\x" # comment',
    "EMPTY=",
    "WINDOWS=1\r",
  ].join("\n");
  assert.deepEqual(parseEnvFile(text, ".env"), {
    PLAIN: "value",
    HASH: "a#b",
    EXPORTED: "spaced out",
    SINGLE: 'a \\n # "b"',
    DOUBLE: 'a\n"b" $c \\ \\x',
    EMPTY: "",
    WINDOWS: "1",
  });
  const wrong = [
    ["A=1\nnonsense\n", /^\.env:2: is no KEY=VALUE/],
    ["A='x\n", /^\.env:1: has a value that begins with '/],
    ['A="x\\"\n', /^\.env:1: has a value that begins with "/],
    ["A-B=secret\n", /^\.env:1: A-B is no name of a variable/],
    ["# nothing\n", /^\.env sets nothing/],
  ] as const;
  for (const [bad, message] of wrong)
    assert.throws(
      () => parseEnvFile(bad, ".env"),
      (error: Error) => message.test(error.message) && !error.message.includes("secret"),
      bad,
    );
});
