// What README.md says to type works, in its order, on one platform.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CHECKOUT, type Platform, startPlatform } from "./platform.ts";
import { blocksIn, Shell, squeeze } from "./shell.ts";

/** Getting the checkout, starting and testing it, and what goes on until Ctrl-C, is not for here. */
const ELSEWHERE = /^\s*(?:git|cd|npm|sudo|apt(?:-get)?) |Ctrl-C|--follow/;

const path = join(CHECKOUT, "README.md");
const blocks = existsSync(path) ? blocksIn(readFileSync(path, "utf8")) : [];
const scripts = blocks
  .map(({ script, output }) => {
    const lines = script.split("\n").filter((line) => !ELSEWHERE.test(line));
    return { script: lines.join("\n").trim(), output };
  })
  .filter(({ script }) => script !== "");

describe("README.md", { skip: existsSync(path) ? false : "there is none yet" }, () => {
  let platform: Platform;
  let shell: Shell;
  before(async () => {
    platform = await startPlatform();
    shell = new Shell(platform);
  });
  after(() => platform?.close());

  test("has commands to try", () => assert.ok(scripts.length > 0));

  for (const { script, output } of scripts)
    test(script.split("\n")[0]!, async () => {
      const ran = await shell.run(script);
      assert.equal(ran.code, 0, `${ran.out}${ran.err}`);
      if (output !== undefined) assert.equal(squeeze(ran.out), squeeze(output));
    });
});
