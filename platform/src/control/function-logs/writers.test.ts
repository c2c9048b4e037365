import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSilentLog } from "#base/log.ts";
import { LogWriters } from "./writers.ts";

const ref = (name: string) => ({ tenant: "acme", app: "shop", function: name });

function createStage(t: TestContext, maximumOpenFiles = 2) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-writers-"));
  const limits = { maximumFileBytes: 1_000, maximumFiles: 10, maximumFunctionBytes: 10_000 };
  const writers = new LogWriters({ log: createSilentLog() }, { ...limits, folder, maximumOpenFiles });
  t.after(async () => {
    await writers.close();
    rmSync(folder, { recursive: true });
  });
  /** The writer that the function has, or gets, now. */
  const seen = (name: string) => {
    const { writer, give } = writers.take(ref(name));
    give();
    return writer;
  };
  return { writers, folder, seen };
}

test("of writers that nobody uses, those used last are kept", (t) => {
  const { seen } = createStage(t);
  const [a, b] = [seen("a"), seen("b")];
  assert.equal(seen("a"), a);
  seen("c");
  assert.equal(seen("a"), a, "it was used after b");
  assert.notEqual(seen("b"), b, "it was used longest ago");
});

test("one that is used stays, however many others come, and goes when it is given back", (t) => {
  const { writers, seen } = createStage(t);
  const held = writers.take(ref("held"));
  const others = ["a", "b", "c", "d"];
  for (const name of others) seen(name);
  assert.equal(seen("held"), held.writer);
  held.give();
  held.give();
  for (const name of others) seen(name);
  assert.notEqual(seen("held"), held.writer);
});

test("giving twice takes nobody else's use away", (t) => {
  const { writers, seen } = createStage(t, 0);
  const [first, second] = [writers.take(ref("a")), writers.take(ref("a"))];
  first.give();
  first.give();
  assert.equal(seen("a"), second.writer);
  second.give();
  assert.notEqual(seen("a"), second.writer);
});

test("one that was forgotten closes its file, and the next goes on behind it", async (t) => {
  const { writers, folder, seen } = createStage(t, 1);
  const names = ["a", "b", "a", "c", "a"];
  for (const [index, name] of names.entries())
    await writers.use(ref(name), (writer) => writer.append([`${name} ${index}\n`]));
  assert.equal(readFileSync(join(folder, "acme/shop/a/1.ndjson"), "utf8"), "a 0\na 2\na 4\n");
  // Others that write nothing leave its file open, unless it is closed with its writer.
  for (const name of ["d", "e"]) seen(name);
  await writers.close();
  const open = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return [];
    }
  });
  assert.deepEqual(
    open.filter((path) => path.startsWith(folder)),
    [],
  );
});

test("a name leads nowhere else", (t) => {
  const { writers } = createStage(t);
  assert.throws(() => writers.take(ref("..")), /not a function: acme\/shop\/\.\./);
});
