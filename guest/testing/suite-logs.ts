import assert from "node:assert/strict";
import { test } from "node:test";
import { MAXIMUM_LOG_TEXT } from "#contract/guest/link.ts";
import type { GuestSuite } from "./guest-suite.ts";
import { until } from "./limit.ts";

/** What user code writes, as log entries. */
export function logTests(suite: GuestSuite): void {
  const { functions } = suite;

  test("entries carry the invocation, stream and level, kept apart under concurrency", async (t) => {
    const many = Math.min(12, suite.slots);
    const { control, data } = await suite.ready(t, functions.log);
    const running = Array.from({ length: many }, (_, marker) =>
      data.start({ contentType: "application/json", body: JSON.stringify({ marker, ms: 5 + ((marker * 7) % 20) }) }),
    );
    const outcomes = await Promise.all(running.map((invocation) => invocation.end()));
    for (const outcome of outcomes) assert.equal(outcome.body.toString(), "logged");
    const expected = (marker: number) =>
      [
        { text: `out ${marker}`, stream: "stdout", level: "info" },
        { text: `err ${marker}`, stream: "stderr", level: "error" },
        ...(["debug", "info", "warn", "error"] as const).map((level) => ({ text: `${level} ${marker}`, level })),
      ] as const;
    await until(() => control.logs.length >= many * 6, `${many * 6} entries, but ${control.logs.length}`);
    for (const [marker, invocation] of running.entries())
      for (const what of expected(marker)) {
        const entries = control.logs.filter((entry) => entry.text === what.text && entry.level === what.level);
        assert.equal(entries.length, 1, `${what.level} "${what.text}" of invocation ${marker}`);
        assert.equal(entries[0]!.invocation, invocation.id, `whose "${what.text}" is`);
        if ("stream" in what) assert.equal(entries[0]!.stream, what.stream);
        assert.ok(Math.abs(entries[0]!.atMs - Date.now()) < 60_000);
      }
  });

  test("entries of an invocation are sent by the time its answer is", async (t) => {
    const { control, data } = await suite.ready(t, functions.log);
    await data.json({ marker: "before", ms: 0 });
    await control.ping();
    assert.ok(control.logs.some((entry) => entry.text === "out before"));
  });

  test("a text beyond the limit is cut and says so", async (t) => {
    const { control, data } = await suite.ready(t, functions.log);
    const marker = "m".repeat(MAXIMUM_LOG_TEXT + 5_000);
    assert.equal((await data.json({ marker, ms: 0 })).kind, "ok");
    const entry = await control.log((entry) => entry.text.startsWith("out mmm"), "that is long");
    assert.equal(entry.truncated, true);
    assert.ok(entry.text.length <= MAXIMUM_LOG_TEXT + 64);
  });

  test("100 MB written while nobody reads neither grow memory nor hold up others; what was dropped is counted", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.flood);
    await data.json({ lines: 100 });
    await until(() => control.logs.length >= 100, "the first entries");
    control.close();
    const before = guest.memoryKiB("VmRSS");
    const outcome = await data.start({ contentType: "application/json", body: '{"lines":100000}' }).end(30_000);
    assert.equal(outcome.body.toString(), "flooded");
    assert.equal((await data.json({ lines: 0 })).body.toString(), "flooded");
    const grown = guest.memoryKiB("VmRSS") - before;
    assert.ok(grown < 48 * 1024, `${grown} KiB more`);
    const again = await guest.control();
    await until(() => again.logs.length + again.dropped >= 100_000, "count of what was dropped");
    assert.ok(again.dropped > 0, `${again.logs.length} kept, ${again.dropped} dropped`);
    await data.json({ lines: 1 });
    const kept = again.logs.length;
    await until(() => again.logs.length > kept || again.logs.length > 0, "entries after the flood");
  });
}
