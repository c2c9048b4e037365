import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "#base/metrics.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { ReportItem } from "#contract/report/report.ts";
import { createMemoryTelemetry } from "#drivers/telemetry/memory/driver.ts";
import { Invocation } from "../dispatch/invocation.ts";
import { RevisionDispatch } from "../dispatch/revision-dispatch.ts";
import { call, RawCaller } from "./caller.fixture.ts";
import { Meters } from "./meters.ts";
import { Settle } from "./settle.ts";
import { type Invoked, onStage, planOf, type Stage, until } from "./stage.fixture.ts";

const FUNCTION = "/fn/app/f";
const SILENT = { head() {}, data() {}, end() {}, failed() {} };

test("an invocation is recorded once, with what its caller saw and what it took", async () => {
  await onStage({ plan: { triggers: [{ method: "POST", path: "/run" }] } }, async (stage) => {
    const answer = call(`${stage.url}/run`, { method: "POST", body: "four" });
    const invoked = await stage.invoked();
    invoked.answer(202, [], "answer");
    const { headers } = await answer;
    await until("the record", () => stage.records().length > 0);
    const [record, ...more] = stage.records();
    assert.deepEqual(more, []);
    const { waitMs, coldMs, runMs, ...facts } = record!;
    assert.deepEqual(facts, {
      id: headers["colibri-invocation-id"],
      revision: "r1",
      outcome: "ok",
      status: 202,
      bodyBytes: 4,
      answerBytes: 6,
      sandbox: invoked.sandbox,
      trigger: "http",
    });
    assert.ok(coldMs > 0 && coldMs <= waitMs, `cold ${coldMs}, wait ${waitMs}`);
    assert.ok(runMs > 0 && runMs < 5_000, `run ${runMs}`);
    const warm = call(stage.url + FUNCTION);
    (await stage.invoked()).answer(200, [], "");
    await warm;
    await until("the second record", () => stage.records().length === 2);
    assert.deepEqual([stage.records()[1]?.coldMs, stage.records()[1]?.trigger], [0, "url"]);
  });
});

/** What the platform wrote into functions' logs. */
function told(stage: Stage) {
  return stage.telemetry.items.flatMap((item) =>
    item.kind === "logs" ? item.log.entries.map(({ atMs: _, ...entry }) => ({ ...item, log: entry })) : [],
  );
}

const lineOf = ({ sandbox, head }: Invoked, text: string) => ({
  ...{ kind: "logs", tenant: "default", app: "app", function: "f", revision: "r1", sandbox, from: "platform" },
  log: { stream: "stderr", level: "error", invocation: head.id, text },
});

const ENDS: Record<
  string,
  { timeoutMs: number; end(invoked: Invoked, stage: Stage, caller: RawCaller): unknown; said: string[] }
> = {
  "an answer says itself what there is to say": {
    timeoutMs: 5_000,
    end: (invoked) => invoked.answer(200, [], "fine"),
    said: [],
  },
  "so does an error of the function's": {
    timeoutMs: 5_000,
    end: (invoked) => invoked.fail("function-error", "its own words"),
    said: [],
  },
  "a timeout is told in the function's log, in the platform's name": {
    timeoutMs: 100,
    end: (invoked) => invoked.cancelled.promise.then(() => invoked.end({ outcome: "cancelled" })),
    said: ["the function did not finish within its timeout of 100 ms"],
  },
  "so is the end of its process": {
    timeoutMs: 5_000,
    async end(invoked, stage, caller) {
      invoked.begin(200);
      await caller.has("200 OK");
      await stage.kill(invoked.sandbox);
    },
    said: ["the function's process exited with code 3"],
  },
};

for (const [what, { timeoutMs, end, said }] of Object.entries(ENDS))
  test(`what ended an invocation: ${what}`, async () => {
    await onStage({ plan: { timeoutMs } }, async (stage) => {
      const caller = new RawCaller(stage.port).send(`GET ${FUNCTION} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      const invoked = await stage.invoked();
      await end(invoked, stage, caller);
      await caller.over();
      await until("it is settled", () => stage.settle.inFlight === 0 && stage.running === 0);
      assert.deepEqual(
        told(stage),
        said.map((text) => lineOf(invoked, text)),
      );
    });
  });

test("meters: by outcome, with bytes and cold starts; what is under way; forgotten with the function", async () => {
  await onStage({}, async (stage) => {
    const value = (line: string) => {
      const found = stage.meters
        .render()
        .split("\n")
        .find((each) => each.startsWith(`${line} `));
      return found === undefined ? undefined : Number(found.slice(line.length + 1));
    };
    const labels = 'tenant="default",app="app",function="f"';
    const first = call(stage.url + FUNCTION, { method: "POST", body: "12345" });
    const invoked = await stage.invoked();
    assert.equal(value("colibri_invocations_in_flight"), 1);
    assert.equal(value("colibri_slots_used"), 1);
    assert.equal(value('colibri_sandboxes{state="ready"}'), 1);
    invoked.answer(200, [], "123");
    await first;
    const second = call(stage.url + FUNCTION);
    (await stage.invoked()).fail("function-error", "x");
    await second;
    await until("both are over", () => value("colibri_invocations_in_flight") === 0);
    assert.equal(value(`colibri_invocations_total{${labels},outcome="ok"}`), 1);
    assert.equal(value(`colibri_invocations_total{${labels},outcome="function-error"}`), 1);
    assert.equal(value(`colibri_body_bytes_total{${labels}}`), 5);
    assert.equal(value(`colibri_answer_bytes_total{${labels}}`), 3);
    assert.equal(value(`colibri_invocations_cold_total{${labels}}`), 1);
    assert.equal(value(`colibri_invocation_run_seconds_count{${labels}}`), 2);
    stage.remove("f");
    assert.ok(!stage.meters.render().includes('function="f"'));
  });
});

function settleAlone() {
  const clock = new SimulatedClock();
  const telemetry = createMemoryTelemetry();
  void telemetry.open(new AbortController().signal);
  const meters = new Meters({ metrics: createMetrics(), inFlight: () => 0, revisions: () => [] });
  const settle = new Settle({ clock, telemetry, meters });
  const { revisions, policy } = planOf("f");
  const ref = { tenant: "default", app: "app", function: "f", revision: "r1" };
  const revision = new RevisionDispatch(ref, revisions.r1!, policy);
  const over = (id: string) => {
    const start = { id, headText: "", body: null, bodyBytes: 0, trigger: "url", startedMs: 1, startedAt: 0 };
    const invocation = new Invocation(start, revision, SILENT);
    invocation.status = 200;
    settle.begin();
    settle.settle(invocation);
  };
  const batches = () =>
    telemetry.items.filter((item): item is Extract<ReportItem, { kind: "records" }> => item.kind === "records");
  return { clock, settle, over, batches };
}

test("records leave together, soon, with the bounds of their ids, whatever the order in which they ended", async () => {
  const { clock, settle, over, batches } = settleAlone();
  for (const id of ["B", "C", "A"]) over(id);
  assert.deepEqual(batches(), []);
  await clock.advance(99);
  assert.deepEqual(batches(), []);
  await clock.advance(1);
  const [batch, ...more] = batches();
  assert.deepEqual(more, []);
  assert.deepEqual([batch?.first, batch?.last, batch?.count], ["A", "C", 3]);
  assert.equal(JSON.parse(batch!.rows).length, 3);
  assert.equal(settle.inFlight, 0);
  over("D");
  await clock.advance(100);
  assert.equal(batches().length, 2);
});

test("a batch that grows large leaves at once; none is larger than a report may be", async () => {
  const { clock, over, batches } = settleAlone();
  const count = 20_000;
  for (let index = 0; index < count; index++) over(String(index).padStart(26, "0"));
  assert.ok(batches().length > 1);
  await clock.advance(100);
  assert.equal(
    batches().reduce((sum, batch) => sum + batch.count, 0),
    count,
  );
  for (const { rows } of batches()) assert.ok(rows.length < 900_000);
});
