import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { PlatformLog } from "./platform-log.ts";

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-log-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, "logs", "platform.ndjson");
}

test("lines are appended, over restarts too, for the owner alone", async (t) => {
  const path = place(t);
  for (const line of ["one\n", "two\n"]) {
    const log = new PlatformLog(path, { maximumBytes: 1_000, files: 3 });
    log.write(line);
    await log.close();
  }
  assert.equal(readFileSync(path, "utf8"), "one\ntwo\n");
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("files are put aside by size, the oldest go, and no line is lost or cut on the way", async (t) => {
  const path = place(t);
  const line = (number: number) => `line ${String(number).padStart(4, "0")}\n`;
  let next = 0;
  // Each round is a run of its own, so that what an earlier run left counts.
  for (let round = 0; round < 8; round++) {
    const log = new PlatformLog(path, { maximumBytes: 95, files: 3 });
    for (let count = 0; count < 10; count++) log.write(line(next++));
    await log.close();
  }
  const names = readdirSync(join(path, ".."));
  assert.deepEqual(names.sort(), ["platform.ndjson", "platform.ndjson.1", "platform.ndjson.2"]);
  const kept = ["platform.ndjson.2", "platform.ndjson.1", "platform.ndjson"].map((name) =>
    readFileSync(join(path, "..", name), "utf8"),
  );
  const lines = kept.join("");
  const first = Number(/^line (\d+)/.exec(lines)?.[1]);
  assert.equal(lines, Array.from({ length: next - first }, (_, index) => line(first + index)).join(""));
  for (const text of kept) assert.ok(text.length <= 110, `${text.length} bytes`);
});

test("a log that can't be written does not stop the platform", async (t) => {
  const path = place(t);
  const log = new PlatformLog(path, { maximumBytes: 1_000, files: 3 });
  await log.close();
  rmSync(path);
  const { mkdirSync } = await import("node:fs");
  mkdirSync(path);
  const blocked = new PlatformLog(path, { maximumBytes: 1_000_000, files: 3 });
  blocked.write("lost\n");
  await new Promise((resolve) => setTimeout(resolve, 20));
  blocked.write("lost too\n");
});
