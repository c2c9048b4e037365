import assert from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { parse } from "yaml";
import { ERRORS } from "#contract/errors.ts";
import { FixturePlatform } from "../fixture/platform.ts";
import { colibri, envFor, onTerminal, spawnColibri, temporaryFolder } from "../fixture/run.ts";

describe("--output", () => {
  let platform: FixturePlatform;
  let env: Record<string, string>;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    env = { ...envFor(platform), NO_COLOR: "1" };
    platform.addFunction("shop", "greet");
    platform.addFunction("shop", "pay");
  });
  afterEach(() => platform.stop());

  const out = async (...args: string[]) => {
    const ran = await onTerminal(args, { env });
    assert.equal(ran.code, 0, ran.err);
    return ran.out;
  };

  test("json and yaml are the same data, --json is json", async () => {
    for (const args of [["list"], ["inspect", "shop"], ["inspect", "shop/pay"], ["version"], ["explain"]]) {
      const json = await out(...args, "-o", "json");
      assert.equal(await out(...args, "--json"), json);
      assert.deepEqual(parse(await out(...args, "--output", "yaml")), JSON.parse(json), args.join(" "));
    }
  });

  test("name: a name a line, for other commands", async () => {
    assert.equal(await out("list", "-o", "name"), "shop/greet\nshop/pay\n");
    assert.equal(await out("inspect", "shop", "-o", "name"), "shop/greet\nshop/pay\n");
    assert.equal(await out("delete", "shop/pay", "--yes", "-o", "name"), "shop/pay\n");
  });

  test("wide: more columns", async () => {
    assert.match(
      await out("list", "-o", "wide"),
      /URL +HANDLER +TIMEOUT +CONCURRENCY +NETWORK +SOURCE\n.*index\.mjs +30s +20 /,
    );
    assert.doesNotMatch(await out("list", "-o", "table"), /HANDLER/);
    assert.match(await out("inspect", "shop", "-o", "wide"), /MEMORY +SCALING +UPDATED\n/);
  });

  test("two forms at once, and one that is none: exit 2", async () => {
    for (const args of [
      ["list", "--json", "-o", "yaml"],
      ["list", "-o", "xml"],
      ["version", "-o", "name"],
    ]) {
      const { code, out: printed } = await onTerminal(args, { env });
      assert.deepEqual([code, printed], [2, ""], args.join(" "));
    }
  });

  test("a reader that leaves ends the command quietly", async () => {
    for (let index = 0; index < 300; index++) platform.addFunction("shop", `fn-${index}`);
    const child = spawnColibri(["list", "--json"], { env });
    child.stdout!.destroy();
    const [err, code] = await Promise.all([
      child.stderr!.toArray(),
      new Promise((resolve) => child.on("exit", resolve)),
    ]);
    assert.deepEqual([code, Buffer.concat(err).toString()], [141, ""]);
  });
});

describe("explain", () => {
  test("one code: meaning, remedy, fault, retry, status", async () => {
    const { code, out } = await onTerminal(["explain", "Queue-Timeout"], { env: { NO_COLOR: "1" } });
    assert.equal(code, 0);
    const { meaning, remedy } = ERRORS["queue-timeout"];
    for (const text of ["queue-timeout", meaning, remedy, "504", "may help", "nobody"])
      assert.ok(out.includes(text), text);
    const json = JSON.parse((await onTerminal(["explain", "queue-timeout", "--json"])).out);
    assert.deepEqual(json, { code: "queue-timeout", ...ERRORS["queue-timeout"] });
  });

  test("all codes without one", async () => {
    const { out } = await onTerminal(["explain"], { env: { NO_COLOR: "1" } });
    assert.equal(out.trimEnd().split("\n").length, Object.keys(ERRORS).length + 1);
    assert.equal((await onTerminal(["explain", "-o", "name"])).out, `${Object.keys(ERRORS).join("\n")}\n`);
  });

  test("a code that is none: exit 5, what was meant", async () => {
    const cases = [
      ["functon-timeout", /Did you mean function-timeout\?/],
      ["dependencies", /Did you mean dependencies-failed\?/],
      ["xyzzy", /There is no error code xyzzy\.\n {2}`npx colibri explain` lists/],
    ] as const;
    for (const [given, message] of cases) {
      const { code, err } = await onTerminal(["explain", given], { env: { NO_COLOR: "1" } });
      assert.equal(code, 5);
      assert.match(err, message);
    }
  });
});

describe("open", () => {
  let platform: FixturePlatform;
  let env: Record<string, string>;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    env = { ...envFor(platform), NO_COLOR: "1", PATH: process.env.PATH ?? "" };
    platform.addFunction("shop", "greet");
    platform.addFunction("shop", "pay");
    platform.addFunction("blog", "post");
  });
  afterEach(() => platform.stop());

  test("gives the address to the browser", async (t) => {
    const folder = temporaryFolder(t);
    const [browser, told] = [join(folder, "browser"), join(folder, "told")];
    writeFileSync(browser, `#!/bin/sh\nprintf '%s\\n' "$@" > ${told}.part; mv ${told}.part ${told}\n`);
    chmodSync(browser, 0o755);
    const args = ["open", "shop/pay", "--path", "/items?page=2"];
    const { code, out } = await onTerminal(args, { env: { ...env, BROWSER: `${folder}/none:${browser}` } });
    const url = `${platform.url}/fn/shop/pay/items?page=2`;
    assert.deepEqual([code, out], [0, `Opened ${url}\n`]);
    while (!existsSync(told)) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(readFileSync(told, "utf8"), `${url}\n`);
    const printed = await onTerminal(["open", "blog", "--print"], { env: { ...env, BROWSER: browser } });
    assert.equal(printed.out, `${platform.url}/fn/blog/post\n`);
  });

  test("prints it where there is no browser, or no terminal", async () => {
    const url = `${platform.url}/fn/shop/pay\n`;
    assert.equal((await onTerminal(["open", "shop/pay"], { env })).out, url);
    assert.equal((await onTerminal(["open", "shop/pay"], { env: { ...env, BROWSER: "/nowhere" } })).out, url);
    assert.equal((await colibri(["open", "shop/pay"], { env: { ...env, BROWSER: "false" } })).out, url);
  });

  test("what is not one function: which there are", async () => {
    const several = await onTerminal(["open", "shop"], { env });
    assert.equal(several.code, 2);
    assert.match(
      several.err,
      /several functions\.\n {2}npx colibri open shop\/greet\n {2}npx colibri open shop\/pay\n/,
    );
    const none = await onTerminal(["open", "shop/py"], { env });
    assert.deepEqual([none.code, /Did you mean shop\/pay\?/.test(none.err)], [5, true]);
    assert.equal((await onTerminal(["open", "shop/pay", "--path", "x"], { env })).code, 2);
  });
});
