import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findApps } from "../apply/apps.ts";
import { schema } from "../commands/schema.ts";
import { readAppFile } from "../deploy/app-file.ts";
import type { Surroundings } from "../surroundings.ts";
import { followApp } from "../watch/follow.ts";
import { readTextFile } from "./text-file.ts";

test("only regular files of some size are read, and a pipe is not waited for", async () => {
  const folder = mkdtempSync(join(tmpdir(), "colibri-text-"));
  try {
    const at = (name: string) => join(folder, name);
    writeFileSync(at("text"), "a: ü\n");
    symlinkSync("text", at("link"));
    assert.deepEqual([readTextFile(at("text")), readTextFile(at("link"))], ["a: ü\n", "a: ü\n"]);
    execFileSync("mkfifo", [at("colibri.yaml"), at("colibri.apps.yaml")]);
    mkdirSync(at("folder"));
    for (const name of ["colibri.yaml", "folder"])
      assert.throws(() => readTextFile(at(name), name), {
        message: `${name} is not a regular file: put one there, or a link to one.`,
      });
    assert.throws(() => readTextFile("/dev/zero"), /\/dev\/zero is not a regular file/);
    assert.throws(() => readTextFile(at("gone"), "gone"), /^CliError: gone can't be read: there is no such file/);
    truncateSync(at("text"), 2_000_000);
    assert.throws(() => readTextFile(at("text"), "text"), /text has 2000000 bytes, allowed are 1048576/);

    const surroundings = { cwd: folder } as Surroundings;
    assert.throws(() => readAppFile(folder, "."), /colibri\.yaml is not a regular file/);
    assert.throws(() => schema(surroundings, ".", {}), /colibri\.yaml is not a regular file/);
    await assert.rejects(findApps(surroundings, ["colibri.apps.yaml"]), /colibri\.apps\.yaml is not a regular file/);
    followApp(folder, assert.fail).close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
