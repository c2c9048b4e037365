import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { FixturePlatform, INVOCATION, NOW } from "./fixture/platform.ts";
import { envFor, onTerminal, temporaryFolder } from "./fixture/run.ts";
import { printable } from "./output/printable.ts";

/** Renames the window, clears it, colours, goes back to the line's start; the last in the form of one character. */
const EVIL = "\u001b]0;renamed\u0007\u001b[2J\u001b[31mred\rgone\u007f\u009b2J";

test("what a terminal would obey is shown; colours are dropped; lines and tabs stay", () => {
  assert.equal(printable(EVIL), "?]0;renamed??[2Jred?gone??2J");
  assert.equal(printable("\u001b[1;31merror\u001b[0m\r\n\tat x\n"), "error\n\tat x\n");
  assert.equal(printable("gr\u00fc\u00dfe \u{1f426} \u00a0"), "gr\u00fc\u00dfe \u{1f426} \u00a0");
});

describe("nothing that others said reaches a terminal as it is", () => {
  let platform: FixturePlatform;
  let env: Record<string, string>;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    env = { ...envFor(platform), NO_COLOR: "1", TERM: "dumb" };
    const fn = platform.addFunction("app", "greet");
    const policy = { ...fn.config.policy, triggers: [{ timer: EVIL }] };
    const config = { ...fn.config, handler: EVIL, environment: { COLOUR: EVIL }, policy };
    platform.addFunction("app", "greet", { config, url: `/fn/${EVIL}`, source: EVIL });
  });
  afterEach(() => platform.stop());

  /** What it shows, standard output and error, which says EVIL and does not do it. */
  async function shown(args: readonly string[], cwd?: string): Promise<string> {
    const { out, err } = await onTerminal(args, { env, ...(cwd !== undefined && { cwd }) });
    const text = out + err;
    assert.match(text, /\?\]0;renamed\?/, args.join(" "));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    assert.doesNotMatch(text, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/, args.join(" "));
    return text;
  }

  test("by list, inspect and delete", async () => {
    await shown(["list"]);
    await shown(["inspect", "app"]);
    const text = await shown(["inspect", "app/greet"]);
    for (const key of ["env", "trigger", "runtime", "source", "url"])
      assert.match(text, new RegExp(`^${key} .*renamed`, "m"));
    platform.addFunction("app", EVIL);
    await shown(["delete", "app", "--yes"]);
  });

  test("by logs, also where a line has more than one; --json gives it as it is", async () => {
    const line = { at: NOW, function: "greet", revision: "r1", sandbox: "s", invocation: INVOCATION } as const;
    platform.logLines = [{ ...line, stream: "stdout", level: "info", text: `${EVIL}\n${EVIL}` }];
    assert.equal((await shown(["logs", "app/greet"])).match(/renamed/g)?.length, 2);
    const { out } = await onTerminal(["logs", "app/greet", "--json"], { env });
    assert.equal(JSON.parse(out).text, `${EVIL}\n${EVIL}`);
  });

  test("by deploy: steps, output, warnings, failures, names of files", async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, "colibri.yaml"), "app: app\nfunctions:\n  new: { runtime: nodejs, handler: index.mjs }\n");
    mkdirSync(join(cwd, "new"));
    writeFileSync(join(cwd, "new", "index.mjs"), "export default () => 1;\n");
    writeFileSync(join(cwd, "new", EVIL.replaceAll("/", "")), "");
    await shown(["deploy", "--dry-run"], cwd);
    platform.buildSays = EVIL;
    const text = await shown(["deploy", "--verbose"], cwd);
    for (const place of [/^new: .*renamed/m, /^ {2}new \| .*renamed/m, /^warning: .*renamed/m])
      assert.match(text, place);
    platform.buildError = EVIL;
    await shown(["deploy"], cwd);
  });
});
