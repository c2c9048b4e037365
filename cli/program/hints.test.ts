import assert from "node:assert/strict";
import { test } from "node:test";
import { onTerminal } from "../fixture/run.ts";

test("a wrong command line is told what was probably meant", async () => {
  const cases: [string[], RegExp][] = [
    [["list", "-o", "yml"], /Allowed choices are .*\n {2}Did you mean yaml\?\n/],
    [["list", "-o", "nonsense"], /Allowed choices are table, [^\n]*\n {2}See/],
    [["logs", "a/b", "--lines", "5"], /unknown option '--lines'\n {2}Did you mean --tail\?\n/],
    [["list", "--lines"], /unknown option '--lines'\n {2}See/],
    [["apply", "./shop", "./blog"], /not specified\n {2}Write: npx colibri apply -f \.\/shop \.\/blog\n/],
    [["apply"], /not specified\n {2}Write: npx colibri apply -f colibri\.apps\.yaml\n/],
    [["--json", "list"], /Options stand behind the command: npx colibri <command> --json/],
  ];
  for (const [args, says] of cases) {
    const { code, err } = await onTerminal(args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, says);
  }
});
