import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { findOciRuntime } from "./oci-runtime.ts";

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-oci-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function program(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

test("of several runtimes the first that runs is taken, or the one that is named", async (t) => {
  const folder = folderOf(t);
  program(folder, "crun", "exit 1");
  program(folder, "runc", "echo runc version 1");
  const runsc = program(folder, "runsc", "echo runsc version 2");
  const nameOf = async (wanted?: string) => {
    const found = await findOciRuntime(wanted, folder);
    return "name" in found && found.name;
  };
  assert.equal(await nameOf(), "runc");
  assert.equal(await nameOf("runsc"), "runsc");
  assert.equal(await nameOf(runsc), "runsc");
});

test("what can't be used is told apart, with the names that can", async (t) => {
  const folder = folderOf(t);
  program(folder, "runc", "echo runc version 1");
  const other = program(folder, "true", "exit 0");
  const broken = program(folder, "crun-broken", "exit 1");
  const text = join(folder, "crun.txt");
  writeFileSync(text, "");
  mkdirSync(join(folder, "runsc.d"));
  for (const [wanted, why] of [
    ["runz", "is no name of an OCI runtime"],
    ["runsc", "is not installed: it is nowhere in PATH"],
    [join(folder, "crun"), "is not there"],
    [join(folder, "runsc.d"), "is a folder, not a program"],
    [text, "is no program that can be run"],
    [other, "is no OCI runtime that is known here"],
    [broken, "does not answer --version"],
  ] as const) {
    const found = await findOciRuntime(wanted, folder);
    assert.ok("why" in found);
    assert.equal(found.why, `COLIBRI_OCI_RUNTIME=${wanted} ${why}`);
    assert.match(found.remedy, /it takes crun, runc, runsc, or a path to one \(runc is installed here\)\./);
  }
});

test("without any, the remedy is a command", async (t) => {
  const found = await findOciRuntime(undefined, folderOf(t));
  assert.ok("why" in found);
  assert.equal(found.remedy, "apt-get install crun");
});
