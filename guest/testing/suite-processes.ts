import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import type { DrivenData } from "./driven-data.ts";
import type { GuestDriver } from "./guest-driver.ts";
import type { GuestSuite } from "./guest-suite.ts";
import { until, within } from "./limit.ts";

/** What `execution: process` is for: each slot is a process, which is used again, and whose end is nobody else's. */
export function processTests(suite: GuestSuite): void {
  const { functions } = suite;
  const wait = (data: DrivenData, marker: string, more = {}) =>
    data.start({ contentType: "application/json", body: JSON.stringify({ ms: 60_000, marker }), ...more });
  const pidOf = async (data: DrivenData) => JSON.parse((await data.json({})).body.toString()).pid as number;

  test("invocations at once run in a process each, one after the other in the same", async (t) => {
    const { guest, data } = await suite.ready(t, functions.count);
    const first = await pidOf(data);
    assert.notEqual(first, guest.pid);
    assert.equal(await pidOf(data), first, "used again");
    assert.deepEqual(childrenOf(guest), [first], "no more than were needed at once");
    const waiting = await suite.ready(t, functions.wait);
    const running = ["1", "2", "3"].map((marker) => wait(waiting.data, marker));
    await Promise.all(running.map((invocation) => within(invocation.accepted, "ACCEPTED")));
    await until(() => childrenOf(waiting.guest).length === 3, "a process for each");
    for (const invocation of running) invocation.cancel();
    for (const invocation of running) assert.equal((await invocation.end()).kind, "cancelled");
    assert.equal((await waiting.data.json({ ms: 0, marker: "next" })).body.toString(), "waited next");
    assert.equal(childrenOf(waiting.guest).length, 3, "they stay");
  });

  test("an exit is its own invocation's end, with what the process said last; the next has a new process", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.exit);
    const slow = data.start({ contentType: "application/json", body: '{"code":0,"ms":400}' });
    const running = data.start({ contentType: "application/json", body: '{"code":3,"ms":0}' });
    const outcome = await running.end();
    assert.deepEqual([outcome.kind, outcome.code], ["error", "function-exited"]);
    assert.match(outcome.error!.message, /the function's process exited with code 3: .*/);
    const entry = await control.log((entry) => entry.text.includes("exited with code 3"), "of the end");
    assert.deepEqual([entry.level, entry.invocation], ["error", running.id]);
    assert.match(guest.stderr, /exit\(3\) called by the function/);
    const later = await slow.end();
    assert.deepEqual([later.kind, later.code], ["error", "function-exited"], "the neighbour ended by itself, later");
    assert.match(later.error!.message, /exited with code 0/);
    const { pid } = guest;
    assert.equal((await data.json({ code: 4, ms: 0 })).code, "function-exited", "a process took its place");
    assert.equal(await control.ping(), 0);
    assert.equal(guest.pid, pid);
    assert.equal(guest.child.exitCode, null);
  });

  test("a process that is killed while it answers breaks off its answer and no other", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.http);
    const echo = { request: { method: "POST", path: "/echo", query: "", headers: [] }, open: true };
    const killed = data.start({ ...echo, body: "one" });
    await until(() => killed.received === 3, "the first of its answer");
    const [victim] = childrenOf(guest);
    const kept = data.start({ ...echo, body: "two" });
    await until(() => kept.received === 3, "the first of its answer");
    process.kill(victim!, "SIGKILL");
    const outcome = await killed.end();
    assert.deepEqual([outcome.kind, outcome.code, outcome.status], ["error", "function-exited", 200]);
    assert.match(outcome.error!.message, /killed by SIGKILL/);
    await kept.finish(Buffer.from(" more"));
    assert.equal((await kept.end()).body.toString(), "two more");
    assert.equal(await control.ping(), 0);
  });

  test("one that hangs past its deadline is killed alone, within the second that the gateway gives", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.spin);
    const spinning = data.start({ contentType: "application/json", body: '{"spin":true}' });
    await control.log((entry) => entry.text === "spinning", "of the one that spins");
    const [victim] = childrenOf(guest);
    assert.equal((await data.json({ spin: false })).body.toString(), "fine", "others run beside it");
    assert.equal(await control.ping(), 1, "and it is not the guest that is busy");
    const cancelledAt = performance.now();
    spinning.cancel("deadline");
    assert.equal((await spinning.end()).kind, "cancelled");
    assert.ok(performance.now() - cancelledAt < 1_000, "before the sandbox would be killed");
    assert.ok(!childrenOf(guest).includes(victim!), "its process is gone");
    assert.equal((await data.json({ spin: false })).body.toString(), "fine");
  });

  test("one whose caller has left may go on until its deadline, then it is killed", async (t) => {
    const { control, data } = await suite.ready(t, functions.spin, { concurrency: 1 });
    const startedAt = performance.now();
    const spinning = data.start({ contentType: "application/json", body: '{"spin":true}', budgetMs: 1_500 });
    await control.log((entry) => entry.text === "spinning", "of the one that spins");
    spinning.cancel("client");
    assert.equal((await data.json({ spin: false })).reason, "full", "it holds its slot");
    assert.equal((await spinning.end()).kind, "cancelled");
    assert.ok(performance.now() - startedAt >= 1_500, "not before its deadline");
    assert.equal((await data.json({ spin: false })).body.toString(), "fine");
  });

  test("a process that ends between two invocations is replaced, and nobody notices", async (t) => {
    const { guest, data } = await suite.ready(t, functions.count, { concurrency: 1 });
    const first = await pidOf(data);
    process.kill(first, "SIGKILL");
    const pids = [await pidOf(data), await pidOf(data)];
    assert.ok(!pids.includes(first) && pids[0] === pids[1], String(pids));
    await until(() => !existsSync(join(guest.folder, "processes", "1")), "end of its folder");
    assert.deepEqual(readdirSync(join(guest.folder, "processes")), ["2"]);
  });

  test("a process that can't be started again says why, and the next one tries again", async (t) => {
    const { guest, data } = await suite.ready(t, functions.startsOnce, { concurrency: 1 });
    assert.equal((await data.json({})).body.toString(), "started");
    const [first] = childrenOf(guest);
    process.kill(first!, "SIGKILL");
    await until(() => childrenOf(guest).length === 0, "end of what was started in its place");
    const outcome = await data.json({});
    assert.deepEqual([outcome.kind, outcome.code, outcome.error?.message], ["error", "init-failed", "once is enough"]);
    assert.equal((await data.json({})).code, "init-failed");
  });

  test("an exit while it is loaded or initialised fails that, and init may be tried again", async (t) => {
    const loading = await suite.start(t);
    const control = await loading.control();
    const { handler, files } = functions.exitsAtLoad;
    const loaded = await control.load(handler, loading.writeFiles(files), { execution: "process" });
    assert.ok(loaded.kind === "failed", "it must not load");
    assert.deepEqual([loaded.failed.code, loaded.failed.phase], ["load-failed", "load"]);
    assert.match(loaded.failed.error.message, /exit/);
    assert.equal(await control.ping(), 0, "the guest is there to say so");
  });

  test("the bodies of many go to the right one, however it is cut", async (t) => {
    const { data } = await suite.ready(t, functions.echo);
    for (let turn = 0; turn < 10; turn++) {
      const bodies = [1, 70_000, 300_000].map((size) => Buffer.alloc(size, `${turn}${size}`));
      const outcomes = await Promise.all(
        bodies.map((body) => data.invoke({ contentType: "application/octet-stream", body })),
      );
      for (const [index, outcome] of outcomes.entries()) assert.ok(outcome.body.equals(bodies[index]!));
    }
    assert.deepEqual((await data.json("short")).frames, [GUEST_FRAMES.HEAD], "and a short answer is one frame");
  });

  test("nothing is left when the guest goes", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.wait);
    const running = ["1", "2"].map((marker) => wait(data, marker));
    await Promise.all(running.map((invocation) => within(invocation.accepted, "ACCEPTED")));
    await until(() => childrenOf(guest).length === 2, "two processes");
    const children = childrenOf(guest);
    control.drain(20);
    for (const invocation of running) assert.equal((await invocation.end()).kind, "cancelled");
    assert.deepEqual(await within(guest.exited, "exit"), { code: 0, signal: null });
    await until(() => children.every((pid) => !existsSync(`/proc/${pid}`)), "end of its processes");
  });
}

/** Processes of the guest, in the order of their start. */
function childrenOf(guest: GuestDriver): number[] {
  const children = readFileSync(`/proc/${guest.pid}/task/${guest.pid}/children`, "utf8");
  const pids = children.split(" ").filter((pid) => pid !== "");
  return pids.map(Number).filter((pid) => !isZombie(pid));
}

function isZombie(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.startsWith("Z");
  } catch {
    return true;
  }
}
