import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, test } from "node:test";
import { ERRORS } from "#contract/errors.ts";
import { FixturePlatform, INVOCATION, TOKEN } from "./fixture/platform.ts";
import { colibri, envFor, onTerminal, temporaryFolder } from "./fixture/run.ts";
import { ownVersion } from "./own-version.ts";

describe("commands that show and remove", () => {
  let platform: FixturePlatform;
  let env: Record<string, string>;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    env = { ...envFor(platform), NO_COLOR: "1" };
    platform.addFunction("shop", "greet");
    platform.addFunction("shop", "pay", {
      live: [
        { revision: "r4", weight: 9 },
        { revision: "r3", weight: 1 },
      ],
    });
    platform.addFunction("blog", "post");
  });
  afterEach(() => platform.stop());

  test("list: a table, pages followed", async () => {
    const { code, out } = await colibri(["list"], { env });
    assert.equal(code, 0);
    const lines = out.trim().split("\n");
    assert.equal(lines.length, 4);
    assert.match(lines[0]!, /^FUNCTION +REVISION +RUNTIME +MEMORY +SCALING +UPDATED +URL$/);
    assert.match(lines[2]!, /^shop\/pay +r4 90% r3 10% +nodejs +128 MiB +0–100 +.* ago +http.*\/fn\/shop\/pay$/);
  });

  test("what an app may reach is shown by inspect, and in a wide list", async () => {
    platform.networks.set("shop", { kind: "allow", hosts: ["example.com", "*.example.com:443"] });
    const { out } = await colibri(["list", "-o", "wide"], { env });
    assert.match(out, /CONCURRENCY +NETWORK +SOURCE\n/);
    assert.match(out, /^shop\/greet .* 20 +allow +sha256:/m);
    assert.match(out, /^blog\/post .* 20 +internet +sha256:/m);
    const app = await colibri(["inspect", "shop"], { env });
    assert.match(app.out, /^network +only example\.com, \*\.example\.com:443$/m);
    assert.match((await colibri(["inspect", "blog"], { env })).out, /^network +internet$/m);
  });

  test("list --json: an array of functions, whole addresses", async () => {
    const functions = JSON.parse((await colibri(["list", "--json"], { env })).out);
    assert.deepEqual(
      functions.map((fn: { app: string; function: string }) => `${fn.app}/${fn.function}`),
      ["shop/greet", "shop/pay", "blog/post"],
    );
    assert.equal(functions[0].url, `${platform.url}/fn/shop/greet`);
  });

  test("list with nothing there says how to begin", async () => {
    platform.functions.clear();
    assert.match((await onTerminal(["list"], { env })).out, /No functions yet. Deploy some: npx colibri deploy/);
    assert.deepEqual(JSON.parse((await onTerminal(["list", "--json"], { env })).out), []);
    const { out } = await onTerminal(["list", "--tenant", "nope"], { env });
    assert.match(out, /^Tenant nope has no functions yet\. .* --tenant nope\n$/);
  });

  test("inspect: an app, and a function with revisions and invocations", async () => {
    platform.invocations = Array.from({ length: 12 }, () => RECORD);
    const app = await colibri(["inspect", "shop"], { env });
    assert.match(app.out, /^app +shop$/m);
    assert.match(app.out, /^pay +r4 90% r3 10% /m);
    const fn = await colibri(["inspect", "shop/greet"], { env });
    assert.match(fn.out, /^memory +128 MiB per sandbox$/m);
    assert.match(fn.out, /^timeout +30s, to initialise 10s$/m);
    assert.match(fn.out, /^r1 live +/m);
    assert.equal(fn.out.match(new RegExp(`^${INVOCATION} .* ok +200 +1\\.0 +0\\.5 +2\\.3$`, "gm"))?.length, 10);
    const greet = platform.functions.get("shop/greet")!;
    platform.functions.set("shop/greet", { ...greet, config: { ...greet.config, memoryMiB: 100 } });
    const rounded = (await onTerminal(["inspect", "shop/greet"], { env })).out;
    platform.functions.set("shop/greet", greet);
    assert.match(rounded, /^memory +128 MiB \(100 rounded up\) per sandbox$/m);
    const json = JSON.parse((await colibri(["inspect", "shop/greet", "--json"], { env })).out);
    assert.deepEqual([json.revisions.length, json.invocations.length, json.function], [1, 10, "greet"]);
  });

  test("inspect and delete of what is not there: exit 5, what was meant", async () => {
    const cases = [
      [["inspect", "shp"], "shop"],
      [["inspect", "shop/gret"], "shop/greet"],
      [["inspect", "blog/greet"], "shop/greet"],
      [["delete", "shop/pya", "--yes"], "shop/pay"],
    ] as const;
    for (const [args, meant] of cases) {
      const { code, err } = await onTerminal(args, { env });
      assert.equal(code, 5, args.join(" "));
      assert.match(err, new RegExp(`Did you mean ${meant}\\?`), args.join(" "));
    }
  });

  test("delete asks on a terminal, and only yes is yes", async () => {
    for (const input of ["n\n", "\n", "", "yess\n"]) {
      const { code, err } = await onTerminal(["delete", "shop"], { env, input });
      assert.equal(code, 1);
      assert.match(err, /Delete app shop with 2 functions: shop\/greet, shop\/pay\? \[y\/N\]/);
      assert.match(err, /Nothing was deleted/);
    }
    assert.equal(platform.functions.size, 3);
    const { code, out } = await onTerminal(["delete", "shop"], { env, input: "y\n" });
    assert.equal(code, 0);
    assert.equal(out, "Deleted app shop with 2 functions: shop/greet, shop/pay.\n");
    assert.deepEqual([...platform.functions.keys()], ["blog/post"]);
  });

  test("delete asks nobody where nobody is: a script means what it says", async () => {
    const done = await colibri(["delete", "shop/greet", "--json"], { env });
    assert.deepEqual(JSON.parse(done.out), { deleted: ["shop/greet"] });
    assert.equal(platform.functions.size, 2);
  });

  test("names are checked before anything is asked", async () => {
    for (const args of [
      ["inspect", "a/b/c"],
      ["invoke", "Shop/x"],
      ["logs", "shop"],
      ["list", "--tenant", "A"],
    ]) {
      const { code, err } = await onTerminal(args, { env });
      assert.equal(code, 2, args.join(" "));
      assert.notEqual(err, "");
    }
    assert.equal(platform.requests.length, 0);
  });

  test("version: also of a platform that runs, is away, or refuses the token", async (t) => {
    const running = JSON.parse((await colibri(["version", "--json"], { env })).out);
    assert.deepEqual(running, { cli: ownVersion(), node: running.node, platform: "9.9.9", url: platform.url });
    assert.match(running.node, /^\d+\.\d+\.\d+$/);
    const refused = await onTerminal(["version"], { env: { ...env, COLIBRI_TOKEN: `${TOKEN}x` } });
    assert.match(refused.out, /platform +unknown: .* does not accept the token/);
    await platform.stop();
    const away = await onTerminal(["version"], { env });
    assert.deepEqual([away.code, /platform +not running at/.test(away.out)], [0, true]);
    const never = await colibri(["version"], { cwd: temporaryFolder(t) });
    assert.match(never.out, /platform +not running here \(there is no .*platform.json\)/);
    assert.equal(ownVersion(), JSON.parse(readFileSync("package.json", "utf8")).version);
  });

  test("wrong command lines: exit 2, what was meant, on standard error", async () => {
    const cases = [
      [["dploy"], /unknown command 'dploy'\n\(Did you mean deploy\?\)/],
      [["list", "--jsn"], /unknown option '--jsn'\n\(Did you mean --json\?\)/],
      [["invoke"], /missing required argument/],
      [["list", "too", "many"], /too many arguments/],
    ] as const;
    for (const [args, message] of cases) {
      const { code, out, err } = await colibri(args, {});
      assert.deepEqual([code, out], [2, ""], args.join(" "));
      assert.match(err, message);
      assert.match(err, /See `npx colibri .*--help`/);
    }
  });
});

const RECORD = {
  id: INVOCATION,
  function: "greet",
  revision: "r1",
  outcome: "ok",
  status: 200,
  startedAt: "2026-01-31T12:00:00.000Z",
  waitMs: 1,
  coldMs: 0.5,
  runMs: 2.345,
  bodyBytes: 0,
  answerBytes: 3,
  sandbox: "s1",
  trigger: "http",
};

test("explain takes a status, and lists the codes that have it", async () => {
  const env = { NO_COLOR: "1" };
  const { out } = await onTerminal(["explain", "503", "-o", "name"], { env });
  const codes = Object.entries(ERRORS).flatMap(([code, { status }]) => (status === 503 ? [code] : []));
  assert.deepEqual(out.trimEnd().split("\n"), codes);
  assert.equal(JSON.parse((await onTerminal(["explain", "503", "--json"], { env })).out).length, codes.length);
  assert.match(
    (await onTerminal(["explain", "404"], { env })).out,
    /^CODE +STATUS +RETRY +MEANING\nfunction-not-found +404 /,
  );
  const none = await onTerminal(["explain", "418"], { env });
  assert.equal(none.code, 5);
  assert.match(none.err, /No error of the platform has status 418\./);
});
