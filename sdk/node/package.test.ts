// The package as its users get it: packed, installed into a folder of theirs, its pages' code run.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { type Medium, makeMedium, startControl, type TestControl, TOKEN } from "#platform/control/control.fixture.ts";
import { buildNodeSdk } from "./build.ts";

const execute = promisify(execFile);
const MAXIMUM_BYTES = 64 * 1024;

/** Code of a page by the file that its first line names. */
function filesOf(page: string): Record<string, string> {
  const blocks = readFileSync(page, "utf8").matchAll(/^```(?:ts|json)\n\/\/ (\S+)\n(.*?)^```/gms);
  return Object.fromEntries([...blocks].map(([, file, code]) => [file, code]));
}

const FILES: Record<string, string> = {
  ...filesOf("docs/sdk-node.md"),
  ...filesOf("docs/api-client.md"),
  "package.json": '{ "type": "module" }',
  "common.cjs": `
    const { invoke } = require("@colibri-functions/sdk/testing");
    const { createClient } = require("@colibri-functions/sdk/client");
    require("@colibri-functions/sdk");
    invoke((input) => [input, typeof createClient], "x").then((answer) => console.log(answer.text()));`,
  "wrong.ts": `
    import type { Handler } from "@colibri-functions/sdk";
    import { createClient } from "@colibri-functions/sdk/client";
    export const big: Handler = () => 1n;
    createClient().getFunction({ app: "a" });`,
  // The page's own, for these files alone.
  "check.json": JSON.stringify({
    extends: "./tsconfig.json",
    files: ["index.ts", "app.ts", "index.test.ts", "deployed.ts", "wrong.ts"],
  }),
};

describe("the npm package", () => {
  let folder: string;
  const run = (args: string[], env: Record<string, string> = {}) => {
    const { NODE_TEST_CONTEXT: _, ...rest } = process.env;
    return execute(process.execPath, args, { cwd: folder, env: { ...rest, ...env }, timeout: 50_000 });
  };
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "colibri-sdk-"));
    await buildNodeSdk(join(folder, "built"));
    await execute("npm", ["pack", "--silent", "./built"], { cwd: folder });
    for (const [file, code] of Object.entries(FILES)) writeFileSync(join(folder, file), code);
    const options = ["--offline", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts"];
    await execute("npm", ["install", ...options, "./colibri-functions-sdk-0.1.0.tgz"], { cwd: folder });
    symlinkSync(resolve("node_modules/@types"), join(folder, "node_modules/@types"));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test("is small", () => {
    const { size } = statSync(join(folder, "colibri-functions-sdk-0.1.0.tgz"));
    assert.ok(size < MAXIMUM_BYTES, `${size} bytes`);
  });

  test("runs the tests of its page", async () => {
    const { stdout } = await run(["--test", "--test-reporter=tap", "index.test.ts"]);
    assert.match(stdout, /^# pass 4$/m, stdout);
    assert.match(stdout, /^# fail 0$/m, stdout);
  });

  test("works in CommonJS", async () => {
    assert.equal((await run(["common.cjs"])).stdout, '["x","function"]\n');
  });

  test("has types that take what is right and nothing else", async () => {
    const compiler = resolve("node_modules/typescript/bin/tsc");
    const { stdout } = await run([compiler, "-p", "check.json"]).catch((error: { stdout: string }) => error);
    const errors = stdout.split("\n").filter((line) => /^\S/.test(line));
    assert.deepEqual(
      errors.map((line) => line.replace(/: error (TS\d+).*/, " $1").replace(/\(.*\)/, "")),
      ["wrong.ts TS2322", "wrong.ts TS2741"],
      stdout,
    );
  });

  test("the client's page does what it says", async () => {
    const medium: Medium = await makeMedium("memory");
    const stage: TestControl = await startControl(medium);
    try {
      const { stdout } = await run(["deployed.ts"], { COLIBRI_URL: stage.client.url, COLIBRI_TOKEN: TOKEN });
      assert.equal(stdout, "it was not there\n");
    } finally {
      await stage.control.close();
      await medium.remove();
    }
  });
});
