import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { INTERNET } from "#contract/network/policy.ts";
import { renderFindings } from "./commands/doctor.ts";
import { renderDeployed } from "./deploy/summary.ts";
import { FixturePlatform, INVOCATION, NOW } from "./fixture/platform.ts";
import { envFor, onTerminal, temporaryFolder } from "./fixture/run.ts";
import { printable } from "./output/printable.ts";
import type { Style } from "./output/style.ts";

/** Renames the window, clears it, colours, goes back to the line's start; the last in the form of one character. */
const EVIL = "\u001b]0;renamed\u0007\u001b[2J\u001b[31mred\rgone\u007f\u009b2J";

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

test("what a terminal would obey is shown; colours are dropped; lines and tabs stay", () => {
  assert.equal(printable(EVIL), "?]0;renamed??[2Jred?gone??2J");
  assert.equal(printable("\u001b[1;31merror\u001b[0m\r\n\tat x\n"), "error\n\tat x\n");
  assert.equal(printable("gr\u00fc\u00dfe \u{1f426} \u00a0"), "gr\u00fc\u00dfe \u{1f426} \u00a0");
});

test("nor what doctor found, a deployment's addresses, or the headers of an answer", async (t) => {
  const plain: Style = (_colour, text) => text;
  const functions = [{ function: EVIL, state: "done" as const, change: "created" as const, url: `/${EVIL}` }];
  const deployment = { id: "D1", tenant: "default", app: EVIL, state: "done" as const, createdAt: NOW, functions };
  const origin = { config: { app: EVIL, network: INTERNET, functions: {} }, calls: new Map(), options: "" };
  const server = createServer((socket) => {
    // Of the control characters, a header may have those above 0x7f.
    const value = `]0;renamed${EVIL.slice(-3)}`;
    socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\nX-Evil: ${value}\r\n\r\n`, "latin1"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env = { COLIBRI_URL: address, COLIBRI_FUNCTIONS_URL: address, NO_COLOR: "1" };
  for (const text of [
    renderFindings([{ check: EVIL, verdict: "warn", detail: EVIL, remedy: EVIL }], plain),
    renderDeployed({ ...deployment, warnings: [] }, plain, origin),
    renderDeployed({ ...deployment, warnings: [] }, plain, { ...origin, calls: new Map([[EVIL, EVIL]]) }),
    renderDeployed(
      { ...deployment, functions: [{ ...functions[0]!, change: "unchanged" }], warnings: [] },
      plain,
      origin,
    ),
    (await onTerminal(["invoke", "app/greet", "--verbose"], { env })).err,
  ]) {
    assert.match(text, /\]0;renamed/);
    assert.doesNotMatch(text, CONTROL);
  }
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
    assert.doesNotMatch(text, CONTROL, args.join(" "));
    return text;
  }

  test("by list, inspect, open and delete", async () => {
    await shown(["open", "app/greet"]);
    await shown(["list"]);
    await shown(["inspect", "app"]);
    const text = await shown(["inspect", "app/greet"]);
    for (const key of ["env", "trigger", "runtime", "source", "url"])
      assert.match(text, new RegExp(`^${key} .*renamed`, "m"));
    platform.addFunction("app", EVIL);
    await shown(["list", "-o", "name"]);
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
