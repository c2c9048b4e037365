import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { ReportItem } from "#contract/report/report.ts";
import type { Telemetry } from "./telemetry.ts";

/** What the suite needs beside the port: to be the one who receives. */
export interface TelemetryFixture {
  /** Constructed, not yet opened; takes about `ROOM` items of `logsItem`. */
  readonly telemetry: Telemetry;
  /** What came through so far. */
  received(): readonly ReportItem[];
  /** Lets everything on the way arrive. */
  settle(): Promise<void>;
  /** While true nothing gets through. */
  away(isAway: boolean): Promise<void>;
  dispose(): Promise<void>;
}

export const ROOM = 100;
const ref = { tenant: "acme", app: "shop", function: "thumb" };

export function logsItem(text: string): ReportItem & { kind: "logs" } {
  const entries = [{ atMs: 1_700_000_000_000, stream: "stdout", level: "info", text }] as const;
  return { kind: "logs", ...ref, revision: "r1", sandbox: "s1", log: { entries } };
}

export function recordsItem(id: string, rows = "[]"): ReportItem & { kind: "records" } {
  return { kind: "records", ...ref, first: id, last: id, count: 1, rows };
}

export function telemetryConformance(name: string, makeFixture: () => Promise<TelemetryFixture>): void {
  describe(`telemetry conformance: ${name}`, () => {
    let fixture: TelemetryFixture;
    let telemetry: Telemetry;
    const open = async () => {
      await telemetry.open(new AbortController().signal);
      await fixture.settle();
    };
    const texts = () => fixture.received().flatMap((item) => (item.kind === "logs" ? [item.log.entries[0]?.text] : []));
    beforeEach(async () => {
      fixture = await makeFixture();
      telemetry = fixture.telemetry;
    });
    afterEach(async () => {
      await telemetry.close();
      await fixture.dispose();
    });

    test("items get through, those of a kind in order, once each", async () => {
      await open();
      const numbers = Array.from({ length: ROOM / 2 }, (_, index) => `${index}`);
      for (const number of numbers) telemetry.add(logsItem(number));
      await fixture.settle();
      assert.deepEqual(texts(), numbers);
      assert.equal(telemetry.dropped, 0);
    });

    test("what is added before open or while nobody receives comes through later", async () => {
      await fixture.away(true);
      telemetry.add(logsItem("before"));
      await open();
      telemetry.add(logsItem("away"));
      await fixture.settle();
      assert.deepEqual(texts(), []);
      await fixture.away(false);
      await fixture.settle();
      assert.deepEqual(texts(), ["before", "away"]);
    });

    test("what can't be kept is dropped, the oldest first, and counted", async () => {
      await fixture.away(true);
      await open();
      for (let index = 0; index < ROOM * 3; index++) telemetry.add(logsItem(`${index}`));
      await fixture.away(false);
      await fixture.settle();
      const came = texts();
      assert.ok(telemetry.dropped > 0);
      assert.equal(came.length + telemetry.dropped, ROOM * 3);
      assert.deepEqual(came.at(-1), `${ROOM * 3 - 1}`);
    });

    test("of meters only the newest matter, and none is counted as dropped", async () => {
      await fixture.away(true);
      await open();
      for (let index = 0; index < 10; index++) telemetry.add({ kind: "meters", text: `${index}` });
      await fixture.away(false);
      await fixture.settle();
      assert.deepEqual(fixture.received(), [{ kind: "meters", text: "9" }]);
      assert.equal(telemetry.dropped, 0);
    });

    test("after close, which works twice, what is added is counted as dropped", async () => {
      await open();
      await telemetry.close();
      await telemetry.close();
      telemetry.add(logsItem("late"));
      assert.equal(telemetry.dropped, 1);
    });
  });
}
