import type { IncomingMessage } from "node:http";
import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import type { Link } from "#base/link/link.ts";
import { createMetrics } from "#base/metrics.ts";
import { createSystemRandom } from "#base/random.ts";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { encodeFrame, FLAG_FIN, FLAG_LAST, FrameReader } from "#contract/link/frame.ts";
import { FrameWriter } from "#contract/link/frame-writer.ts";
import type { RoutePlan } from "#contract/plan/plan.ts";
import type { Answer } from "#platform/dispatch/answer.ts";
import { DataStream } from "#platform/dispatch/data-stream.ts";
import { HeldSandbox } from "#platform/dispatch/held-sandbox.ts";
import { Invocation } from "#platform/dispatch/invocation.ts";
import { RevisionDispatch } from "#platform/dispatch/revision-dispatch.ts";
import type { Dispatch } from "#platform/gateway/dispatch.ts";
import { Edge } from "#platform/gateway/edge.ts";
import type { Exchange } from "#platform/gateway/exchange.ts";
import { Meters } from "#platform/gateway/meters.ts";
import { Routes } from "#platform/gateway/routes.ts";
import { Settle } from "#platform/gateway/settle.ts";
import type { Row } from "./lib/report.ts";

const PLAN: RoutePlan = {
  tenant: "default",
  app: "bench",
  function: "hello",
  live: [{ revision: "r1", weight: 100 }],
  revisions: { r1: { runtime: "nodejs", memoryMiB: 128, concurrency: 100, timeoutMs: 30_000 } },
  policy: {
    scaling: { min: 0, max: 1, keepAliveMs: 1_000 },
    queue: { length: 10, timeoutMs: 1_000 },
    limits: { bodyBytes: 1_000 },
    access: { kind: "open" },
    triggers: [],
  },
};
const HEADERS = ["Host", "127.0.0.1:8080", "User-Agent", "wrk/4.1.0", "Accept", "*/*"];
const ANSWER = Buffer.from('{"hello":"world"}');
const HEAD = '{"status":200,"headers":["content-type","application/json"]}';
const SILENT: Answer = { head() {}, data() {}, end() {}, failed() {} };

/** What our own code costs in each hop, without sockets, HTTP parsing and the system calls around it. */
export async function benchHops(): Promise<Row[]> {
  const clock = createSystemClock();
  const telemetry = { open: async () => {}, close: async () => {}, add: () => {}, dropped: 0 };
  const ref = { tenant: "default", app: "bench", function: "hello", revision: "r1" };
  const revision = new RevisionDispatch(ref, PLAN.revisions.r1!, PLAN.policy);
  const sandbox = new HeldSandbox("s1", "nowhere", 100);
  sandbox.state = "ready";
  revision.list(sandbox);
  const meters = new Meters({ metrics: createMetrics(), inFlight: () => 0, revisions: () => [revision] });
  const settle = new Settle({ clock, telemetry, meters });
  const make = () =>
    new Invocation(
      {
        id: "01M7XJQNFF00002FNMHJWENCMN",
        headText: '"request":{"method":"GET","path":"/","query":"","headers":[]}',
        body: null,
        bodyBytes: 0,
        trigger: "url",
        startedMs: clock.now(),
        startedAt: clock.monotonic(),
      },
      revision,
      SILENT,
    );
  const edge = createEdge(clock);
  const rows = [
    row("1 edge: address to invocation", 2.5, () => edge()),
    row("2 acquire: take a slot, give it back", 0.3, takeAndGive(revision, make())),
    row("3 forward: INVOKE written, answer read", 4, forwardAndReceive(make)),
    row("5 settle: count, meter, record", 2, settleOne(settle, make())),
  ];
  settle.flush();
  return rows;
}

function createEdge(clock: ReturnType<typeof createSystemClock>): () => void {
  const routes = new Routes();
  routes.set(PLAN);
  const revision = new RevisionDispatch({ ...PLAN, revision: "r1" }, PLAN.revisions.r1!, PLAN.policy);
  const dispatch = { route: () => revision } as unknown as Dispatch;
  const ids = createIds(clock, createSystemRandom());
  const edge = new Edge(
    { clock, ids, routes, dispatch, load: { inFlight: 0, ready: true } },
    { maximumInFlight: 10, maximumTargetBytes: 8_192 },
  );
  const exchange = { id: "" } as Exchange;
  return () => {
    const request = {
      url: "/fn/bench/hello?a=b",
      method: "GET",
      httpVersionMajor: 1,
      httpVersionMinor: 1,
      headers: { host: HEADERS[1] },
      rawHeaders: [...HEADERS],
      socket: { remoteAddress: "127.0.0.1" },
    };
    edge.enter(request as unknown as IncomingMessage, exchange, () => {});
  };
}

function takeAndGive(revision: RevisionDispatch, invocation: Invocation): () => void {
  return () => {
    revision.take(invocation);
    revision.give(invocation, 0);
  };
}

/** Frames are written to memory and read from it, as a socket would carry them. */
function forwardAndReceive(make: () => Invocation): () => void {
  const stream = new DataStream({ released() {}, misrouted() {}, answered() {}, closed() {} });
  const writer = new FrameWriter();
  const link = {
    send: (type: number, flags: number, id: number, head: string, body: Uint8Array | null) =>
      writer.append(type, flags, id, head, body),
  } as Link;
  stream.attach(link);
  const reader = new FrameReader((frame) => stream.receive(frame));
  return () => {
    const invocation = make();
    stream.invoke(invocation, 30_000);
    writer.take();
    reader.push(encodeFrame(GUEST_FRAMES.ACCEPTED, 0, invocation.stream, "", null));
    reader.push(encodeFrame(GUEST_FRAMES.HEAD, FLAG_FIN | FLAG_LAST, invocation.stream, HEAD, ANSWER));
  };
}

function settleOne(settle: Settle, invocation: Invocation): () => void {
  invocation.forwardedAt = invocation.startedAt + 0.25;
  invocation.endedAt = invocation.startedAt + 1;
  invocation.status = 200;
  let count = 0;
  return () => {
    settle.settle(invocation);
    if (++count % 2_000 === 0) settle.flush();
  };
}

/** Median of ten runs after a warm-up. */
function row(hop: string, budgetUs: number, once: () => void): Row {
  const runs: number[] = [];
  for (let run = 0; run < 13; run++) {
    const begun = performance.now();
    for (let index = 0; index < 50_000; index++) once();
    if (run >= 3) runs.push(((performance.now() - begun) / 50_000) * 1_000);
  }
  runs.sort((a, b) => a - b);
  const microseconds = runs[5]!;
  return {
    bench: "hops",
    hop,
    µs: microseconds.toFixed(2),
    "budget µs": budgetUs,
    within: microseconds <= budgetUs ? "yes" : "no",
  };
}
