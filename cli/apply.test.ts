import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FixturePlatform } from "./fixture/platform.ts";
import { colibri, envFor, onTerminal, type Ran, temporaryFolder } from "./fixture/run.ts";

function writeApp(folder: string, app: string, names: readonly string[] = ["fn"]): void {
  mkdirSync(folder, { recursive: true });
  const entries = names.map((name) => `  ${name}: { runtime: nodejs, handler: index.mjs }\n`);
  writeFileSync(join(folder, "colibri.yaml"), `app: ${app}\nfunctions:\n${entries.join("")}`);
  for (const name of names) {
    mkdirSync(join(folder, name), { recursive: true });
    writeFileSync(join(folder, name, "index.mjs"), `export default () => "${app}/${name}";\n`);
  }
}

describe("apply", () => {
  let platform: FixturePlatform;
  let cwd: string;
  let env: Record<string, string>;
  beforeEach(async (t) => {
    platform = new FixturePlatform();
    await platform.start();
    env = { ...envFor(platform), NO_COLOR: "1" };
    cwd = temporaryFolder(t as never);
    writeApp(join(cwd, "shop"), "shop", ["greet", "pay"]);
    writeApp(join(cwd, "media"), "media");
    writeFileSync(join(cwd, "colibri.apps.yaml"), "apps:\n  - ./shop\n  - media/colibri.yaml\n");
  });
  afterEach(() => platform.stop());
  const run = (...args: string[]): Promise<Ran> => onTerminal(["apply", ...args], { cwd, env });

  test("deploys all that a file, a folder with one, folders, or standard input name", async () => {
    const all = ["media/fn", "shop/greet", "shop/pay"];
    for (const args of [
      ["-f", "colibri.apps.yaml"],
      ["-f", "."],
      ["-f", "shop", "media"],
      ["-f", "shop", "-f", "media"],
    ]) {
      platform.functions.clear();
      const { code, out, err } = await run(...args);
      assert.equal(code, 0, err);
      assert.deepEqual([...platform.functions.keys()].sort(), all, args.join(" "));
      assert.match(out, /^APP +FUNCTION +CHANGE +REVISION +URL\nshop +greet +created +r1 +http/);
      assert.match(out, /\n2 of 2 apps deployed\.\n$/);
    }
    platform.functions.clear();
    const piped = await colibri(["apply", "-f", "-", "-o", "name"], { cwd, env, input: "apps: [./media]\n" });
    assert.deepEqual([piped.code, piped.out], [0, "media/fn\n"]);
  });

  test("control's warnings are told with the app's name", async () => {
    platform.buildSays = "media/old is not in colibri.yaml and stays";
    const { err } = await run("-f", "media");
    assert.match(err, /^media warning: media\/old is not in colibri\.yaml and stays$/m);
  });

  test("lines say whose they are, on one display", async () => {
    const plain = await colibri(["apply", "-f", "."], { cwd, env });
    assert.match(plain.err, /^shop greet: 1 file, \d+ B, uploaded$/m);
    assert.match(plain.err, /^media fn: 1 file, \d+ B, uploaded$/m);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape is what must not be there
    assert.doesNotMatch(plain.err + plain.out, /\u001b|\r/);
    const { err } = await run("-f", ".");
    const rows = err.split("\r\u001b[K").at(-1)!;
    assert.ok(err.includes("\u001b[1A\u001b[K"), "two rows are never there at once");
    assert.doesNotMatch(rows, /…|█/, "a row is left behind");
  });

  test("one that fails leaves the others alone: exit 1, told which and why", async () => {
    writeApp(join(cwd, "bad"), "bad");
    platform.buildErrors.set("bad", "index.mjs:1: unexpected token");
    const { code, out, err } = await run("-f", "shop", "bad", "media");
    assert.equal(code, 1);
    assert.deepEqual([...platform.functions.keys()].sort(), ["media/fn", "shop/greet", "shop/pay"]);
    assert.match(out, /^bad +fn +failed$/m);
    assert.match(out, /\n2 of 3 apps deployed; failed: bad\.\n$/);
    assert.match(err, /error: App bad was not deployed; nothing that is live was changed\.\n {2}fn: index\.mjs:1/);
    const { ok, apps } = JSON.parse((await run("-f", "bad", "-f", "media", "--json")).out);
    assert.deepEqual([ok, apps[0].state, apps[0].error.code, apps[1].state], [false, "failed", "build-failed", "done"]);
  });

  test("a listed folder that is not there leaves the others alone too, and is told by its line", async () => {
    writeFileSync(join(cwd, "colibri.apps.yaml"), "apps:\n  - ./shop\n  - ./gone\n  - media\n");
    const { code, out, err } = await run("-f", ".");
    assert.deepEqual([code, [...platform.functions.keys()].sort()], [1, ["media/fn", "shop/greet", "shop/pay"]]);
    assert.match(out, /^gone +failed$/m);
    assert.match(out, /\n2 of 3 apps deployed; failed: gone\.\n$/);
    assert.match(err, /error: colibri\.apps\.yaml:3: There is no folder gone\./);
  });

  test("one that is refused leaves the others alone too, and is told by its name", async () => {
    writeApp(join(cwd, "bad"), "bad");
    platform.refusal = { app: "bad", status: 403, code: "forbidden", errors: [{ path: "app", message: "not yours" }] };
    const { code, out, err } = await run("-f", "bad", "shop", "media");
    assert.deepEqual([code, [...platform.functions.keys()].sort()], [4, ["media/fn", "shop/greet", "shop/pay"]]);
    assert.match(out, /^bad +failed$/m);
    assert.match(err, /error: App bad: app: not yours/);
  });

  test("--dry-run asks what would change and uploads nothing", async () => {
    await run("-f", "media");
    platform.requests.length = 0;
    const { code, out } = await run("-f", ".", "--dry-run");
    assert.equal(code, 0);
    assert.match(out, /^shop +greet +created$/m);
    assert.match(out, /^media +fn +unchanged +r1$/m);
    assert.match(out, /2 functions would change; nothing was deployed\.\n$/);
    assert.deepEqual(
      platform.requests.filter((line) => /^PATCH|deployments$/.test(line)),
      [],
    );
    assert.match((await run("-f", "media", "--dry-run")).out, /Nothing would change\.\n$/);
  });

  test("--prune is asked for", async () => {
    await run("-f", "media", "--prune");
    assert.equal(platform.deployments.get("D1")?.request.prune, true);
  });

  test("mistakes are told before anything is sent", async () => {
    writeApp(join(cwd, "again"), "shop");
    writeFileSync(join(cwd, "wrong.yaml"), "aps: [./shop]\n");
    writeFileSync(join(cwd, "shop", "colibri.apps.yaml"), "apps: [.]\n");
    const cases = [
      [["-f", "media", "again", "-f", "shop/colibri.yaml"], 1, /again and shop both hold the app shop/],
      [["-f", "wrong.yaml"], 1, /2 mistakes in wrong\.yaml:[\s\S]*wrong\.yaml:1:1: .*did you mean apps\?/],
      [["-f", "nowhere"], 1, /There is no file or folder nowhere/],
      [["-f", "shop"], 2, /shop has both colibri\.yaml and colibri\.apps\.yaml/],
      [["-f", "shop/greet"], 1, /There is no colibri\.yaml in shop\/greet, but one in a folder above/],
      [[], 2, /required option '-f, --file <path\.\.\.>' not specified/],
    ] as const;
    for (const [args, exit, message] of cases) {
      const { code, err } = await run(...args);
      assert.equal(code, exit, err);
      assert.match(err, message);
    }
    assert.deepEqual(platform.requests, []);
  });

  test("a platform that is away is told once", async () => {
    await platform.stop();
    const { code, err } = await run("-f", ".");
    assert.equal(code, 3);
    assert.equal(err.match(/can't be reached/g)?.length, 1);
  });
});
