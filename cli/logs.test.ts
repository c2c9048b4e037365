import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { LogLine } from "#sdk/node/client.ts";
import { FixturePlatform, INVOCATION } from "./fixture/platform.ts";
import { colibri, envFor, onTerminal, spawnColibri } from "./fixture/run.ts";

function line(second: number, text: string, more: Partial<LogLine> = {}): LogLine {
  const at = `2026-01-31T12:00:${String(second).padStart(2, "0")}.000Z`;
  return { at, function: "greet", revision: "r1", sandbox: "s1", stream: "stdout", level: "info", text, ...more };
}

describe("logs", () => {
  let platform: FixturePlatform;
  let env: Record<string, string>;
  beforeEach(async () => {
    platform = new FixturePlatform();
    await platform.start();
    env = envFor(platform);
    platform.addFunction("app", "greet");
  });
  afterEach(() => platform.stop());

  test("shows time, level, short id and text; further lines indented", async () => {
    platform.logLines = [line(1, "a"), line(2, "Error: x\n  at y", { level: "error", invocation: INVOCATION })];
    const { code, out } = await colibri(["logs", "app/greet"], { env });
    assert.equal(code, 0);
    assert.equal(
      out,
      "2026-01-31T12:00:01.000Z info  -        a\n2026-01-31T12:00:02.000Z error 0Z7M5W8K Error: x\n      at y\n",
    );
    assert.match(platform.requests.at(-1)!, /tail=100$/);
  });

  test("--json gives the lines as they are", async () => {
    platform.logLines = [line(1, "a"), line(2, "b")];
    const { out } = await colibri(["logs", "app/greet", "--json", "--tail", "1"], { env });
    assert.deepEqual(
      out
        .trim()
        .split("\n")
        .map((text) => JSON.parse(text)),
      [line(2, "b")],
    );
  });

  test("without lines it says so on standard error, and what it looked for", async () => {
    const silent = async (...args: string[]) => {
      const { code, out, err } = await colibri(["logs", "app/greet", ...args], { env });
      assert.deepEqual([code, out], [0, ""]);
      return err;
    };
    assert.equal(await silent(), "no lines yet: app/greet has logged nothing\n");
    assert.equal(await silent("--json", "--since", "10m"), "no lines yet: app/greet has logged nothing since 10m\n");
    assert.match(await silent("--invocation", INVOCATION), new RegExp(`no lines yet: invocation ${INVOCATION} of app`));
    platform.logLines = [line(1, "a")];
    assert.equal((await colibri(["logs", "app/greet"], { env })).err, "");
  });

  test("--follow says at a terminal that it waits", async () => {
    const controller = new AbortController();
    const onStderr = (): void => controller.abort();
    const { code, out, err } = await onTerminal(["logs", "app/greet", "--follow"], {
      env: { ...env, NO_COLOR: "1" },
      signal: controller.signal,
      onStderr,
    });
    assert.deepEqual([code, out, err], [0, "", "waiting for lines; Ctrl-C ends\n"]);
  });

  test("colours by level on a terminal, unless NO_COLOR is set", async () => {
    platform.logLines = [line(1, "bad", { level: "error" })];
    const coloured = await onTerminal(["logs", "app/greet"], { env });
    assert.ok(coloured.out.includes("\u001b[31mbad\u001b[39m"));
    const plain = await onTerminal(["logs", "app/greet"], { env: { ...env, NO_COLOR: "1" } });
    assert.ok(!plain.out.includes("\u001b"));
  });

  test("--invocation and --since are asked of control; nonsense is a wrong command line", async () => {
    platform.logLines = [line(1, "a"), line(2, "b", { invocation: INVOCATION })];
    const one = await colibri(["logs", "app/greet", "--invocation", INVOCATION], { env });
    assert.match(one.out, /^\S+ info {2}0Z7M5W8K b\n$/);
    const since = await colibri(["logs", "app/greet", "--since", "2026-01-31T12:00:02Z"], { env });
    assert.equal(since.out.split("\n").length, 2);
    for (const args of [
      ["--since", "soon"],
      ["--invocation", "x"],
      ["--tail", "-1"],
      ["--tail", "x"],
    ])
      assert.equal((await onTerminal(["logs", "app/greet", ...args], { env })).code, 2, args.join(" "));
  });

  test("--follow goes on after a restart of control, repeats nothing, and ends with 0 at Ctrl-C", async () => {
    platform.logLines = [line(1, "one"), line(2, "two"), line(2, "two")];
    const child = spawnColibri(["logs", "app/greet", "--follow"], { env });
    let out = "";
    let err = "";
    child.stderr!.on("data", (chunk) => {
      err += chunk;
    });
    const shown = (text: string) =>
      new Promise<void>((resolve) => {
        const look = (): void => {
          if (out.includes(text)) resolve();
        };
        child.stdout!.on("data", look);
        look();
      });
    child.stdout!.on("data", (chunk) => {
      out += chunk;
    });
    await shown("two");
    await platform.stop();
    platform.logLines.push(line(2, "same time"), line(3, "later"));
    await platform.start();
    await shown("later");
    child.kill("SIGINT");
    assert.equal(await new Promise((resolve) => child.on("close", resolve)), 0);
    const texts = out
      .trim()
      .split("\n")
      .map((text) => text.split("        ")[1]);
    assert.deepEqual(texts, ["one", "two", "two", "same time", "later"]);
    assert.match(err, /The connection was lost; trying again[\s\S]*Connected again/);
  });

  test("of a function that is not there: exit 5 with a suggestion, also with --follow", async () => {
    for (const args of [[], ["--follow"]]) {
      const { code, err } = await onTerminal(["logs", "app/gret", ...args], { env });
      assert.equal(code, 5);
      assert.match(err, /Did you mean app\/greet\?/);
    }
  });

  test("a reader that leaves ends it quietly", async () => {
    platform.logLines = Array.from({ length: 90 }, (_, number) => line(number % 60, "x".repeat(5_000)));
    const child = spawnColibri(["logs", "app/greet"], { env });
    let err = "";
    child.stderr!.on("data", (chunk) => {
      err += chunk;
    });
    child.stdout!.once("data", () => child.stdout!.destroy());
    assert.equal(await new Promise((resolve) => child.on("close", resolve)), 141);
    assert.equal(err, "");
  });
});
