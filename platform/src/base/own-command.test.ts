import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { asTyped, CHECKOUT, ownCommand } from "./own-command.ts";

test("in the checkout it is npx colibri, elsewhere colibri", (t) => {
  const outside = mkdtempSync(join(tmpdir(), "colibri-own-command-"));
  t.after(() => rmSync(outside, { recursive: true }));
  const at = (cwd: string, env = {}) => ownCommand({ cwd, env });
  assert.equal(at(CHECKOUT), "npx colibri");
  assert.equal(at(join(CHECKOUT, "examples", "hello")), "npx colibri");
  assert.equal(at(outside), "colibri");
  assert.equal(at("/"), "colibri");
  assert.equal(at(outside, { npm_command: "exec" }), "npx colibri");
  assert.equal(at(outside, { npm_command: "run-script" }), "colibri");
  assert.equal(
    asTyped("`npx colibri list`, npx colibri logs", { cwd: outside, env: {} }),
    "`colibri list`, colibri logs",
  );
});

test("in a project of its own inside the checkout npx does not find it", (t) => {
  const inside = mkdtempSync(join(CHECKOUT, "node_modules", ".own-command-"));
  t.after(() => rmSync(inside, { recursive: true }));
  writeFileSync(join(inside, "package.json"), "{}");
  mkdirSync(join(inside, "deeper"));
  assert.equal(ownCommand({ cwd: join(inside, "deeper"), env: {} }), "colibri");
});
