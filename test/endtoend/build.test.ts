// What a build prints is seen while it runs, and `colibri build` makes what a deployment makes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { locked, publishNpm, type Registry, startRegistry } from "#platform/builder/builder.fixture.ts";
import { node, Place, type Platform, python, startPlatform, until } from "./platform.ts";

/** An install script that says something and then waits for a file. */
const WAITING = `
const { existsSync } = require("node:fs");
console.log("compiling part 1");
const wait = setInterval(() => existsSync(process.env.HOME + "/../../go-on") && clearInterval(wait), 10);
setTimeout(() => process.exit(1), 60_000).unref();
`;

describe("builds", () => {
  let registry: Registry;
  let platform: Platform;
  before(async () => {
    registry = await startRegistry();
    platform = await startPlatform(new Place({ npm_config_registry: registry.url }));
  });
  after(async () => {
    await platform?.close();
    await registry?.close();
  });

  async function withPackage(settings: Record<string, unknown> = {}) {
    const manifest = { scripts: { install: "node install.js" } };
    const native = await publishNpm(
      registry,
      "native",
      { "install.js": WAITING, "index.js": "module.exports = 7;" },
      manifest,
    );
    const { settings: own, files } = node('import seven from "native"; export default () => seven;', settings);
    return { settings: own, files: { ...files, ...(locked({ native }) as Record<string, string>) } };
  }

  test("what an install script prints is on the terminal before the script has ended", async () => {
    const slow = await withPackage({ build: { installScripts: ["native"] } });
    const folder = platform.writeApp("slow", { slow });
    const child = platform.place.spawn(["deploy", folder, "--verbose"]);
    const closed = once(child, "close");
    let said = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    child.stdout!.resume();
    await until("the line of the script", () => said.includes("slow | compiling part 1"), 30_000);
    assert.ok(said.includes("slow: Running the install scripts of native"), said);
    assert.equal(child.exitCode, null, "it had ended before");
    writeFileSync(join(platform.home, "build", "go-on"), "");
    assert.deepEqual((await closed)[0], 0, said);
    assert.match(said, /slow: Built in [\d.]+s: .*installing the packages of package-lock\.json/);
    assert.equal(await platform.call("slow/slow").then(({ text }) => text), "7");
  });

  test("colibri build makes the bundles that a deployment of the same folder makes", async () => {
    const functions = {
      packages: await withPackage(),
      script: {
        settings: { runtime: "nodejs", handler: "a.ts" },
        files: { "a.ts": "export default (): number => 1;\n" },
      },
      snake: python("def handler(input, context): return 1\n"),
    };
    await platform.deploy("same", functions);
    const built = await platform.colibri("build", join(platform.place.work, "same"), "--json");
    assert.equal(built.code, 0, built.err);
    for (const { function: name, digest, bytes } of JSON.parse(built.out).functions) {
      const { json } = await platform.api(`/v1/tenants/default/apps/same/functions/${name}/revisions`);
      assert.deepEqual(json.items[0].bundle, { digest, bytes }, name);
    }
  });
});
