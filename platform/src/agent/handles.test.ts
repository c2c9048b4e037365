import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createSilentLog } from "#base/log.ts";
import { createDiskHandles, type SandboxRecord } from "./handles.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "colibri-handles-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const make = () => createDiskHandles({ log: createSilentLog() }, { folder });

function record(id: string, state: Record<string, unknown>): SandboxRecord {
  return {
    version: 1,
    handle: { version: 1, technology: "process", id, runtime: "nodejs", memoryMiB: 128, state },
    fingerprint: undefined,
    slots: 2,
    life: { phase: "ready", startMs: 1, loadMs: 2, initMs: 3, graceMs: 0 },
  };
}

test("the last of what was written is what the next agent reads, be it shorter or longer than a page", () => {
  const long = { text: "é".repeat(5_000) };
  for (const state of [{ pid: 1 }, long, { pid: 2 }, long, { pid: 3, startTime: "4" }]) {
    make().save(record("a", state));
    assert.deepEqual(
      make()
        .load()
        .map(({ handle }) => handle.state),
      [state],
    );
  }
});

test("what can't be read is left out, and what was removed is gone", () => {
  for (const id of ["a", "b", "c"]) make().save(record(id, {}));
  writeFileSync(join(folder, "a", "handle.json"), "");
  make().remove("b");
  const ids = () =>
    make()
      .load()
      .map(({ handle }) => handle.id);
  assert.deepEqual(ids(), ["c"]);
  appendFileSync(join(folder, "c", "handle.json"), "rest of an older one");
  assert.deepEqual(ids(), ["c"]);
  assert.equal(readFileSync(join(folder, "c", "handle.json")).length % 4_096, 20);
});
