import assert from "node:assert/strict";
import { test } from "node:test";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { REVISION } from "./driven-control.ts";
import type { GuestSuite } from "./guest-suite.ts";
import { until, within } from "./limit.ts";

/** States, initialisation, connecting again, draining. */
export function lifecycleTests(suite: GuestSuite): void {
  const { functions, execution } = suite;

  test("says what it is, and after a load what it has become, on each control stream", async (t) => {
    const guest = await suite.start(t);
    const first = await guest.control();
    assert.equal(first.hello.runtime, suite.runtime);
    assert.equal(first.hello.pid, guest.pid);
    assert.equal(first.hello.state, "pending");
    assert.equal(first.hello.bound, undefined);
    assert.ok(first.hello.delivers.includes("mount"));
    await first.load(functions.echo.handler, guest.writeFiles(functions.echo.files), { execution });
    const second = await guest.control();
    assert.equal(second.hello.state, "loaded");
    assert.deepEqual(second.hello.bound, { ...REVISION });
    assert.equal(await within(first.closed, "end of the control stream that was replaced"), undefined);
    await second.init();
    assert.equal((await guest.control()).hello.state, "ready");
  });

  test("keeps running invocations when the control stream is replaced, and answers on the new one", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.wait);
    const running = data.start({ contentType: "application/json", body: '{"ms":60000,"marker":"kept"}' });
    await control.log((entry) => entry.text === "begun kept", "of its start");
    control.close();
    const again = await guest.control();
    assert.equal(again.hello.state, "ready");
    assert.equal(await again.ping(), 1);
    running.cancel();
    assert.equal((await running.end()).kind, "cancelled");
    await again.log((entry) => entry.text === "aborted kept", "of the invocation that went on");
  });

  test("initialises once, however many invocations come and however often it is told", async (t) => {
    const { control, data } = await suite.ready(t, functions.count);
    const before = await Promise.all(Array.from({ length: Math.min(10, suite.slots) }, () => data.json({})));
    assert.equal((await control.init()).kind, "ready");
    const after = await data.json({});
    for (const outcome of [...before, after]) {
      const { inits, loads } = JSON.parse(outcome.body.toString());
      assert.deepEqual({ inits, loads }, { inits: 1, loads: 1 });
    }
  });

  test("takes INIT again after init failed, in the same process and without loading again", async (t) => {
    const guest = await suite.start(t);
    const control = await guest.control();
    const { handler, files } = functions.initFails;
    await control.load(handler, guest.writeFiles(files), { execution });
    const first = await control.init();
    assert.ok(first.kind === "failed");
    assert.equal(first.failed.code, "init-failed");
    assert.equal(first.failed.phase, "init");
    assert.equal(first.failed.error.name, "TypeError");
    assert.match(first.failed.error.message, /not yet/);
    assert.ok(first.failed.error.stack, "the stack goes to the log");
    assert.equal((await guest.control()).hello.state, "loaded");
    const again = await guest.control();
    assert.equal((await again.init()).kind, "ready");
    const { inits, loads, pid } = JSON.parse((await (await guest.data()).json({})).body.toString());
    assert.deepEqual({ inits, loads }, { inits: 2, loads: 1 });
    assert.equal(pid === guest.pid, execution !== "process", "user code runs in the guest, or in a process of its own");
  });

  test("initialises right after it has loaded where LOAD says so, and again when it is told to", async (t) => {
    const guest = await suite.start(t);
    const control = await guest.control();
    const { handler, files } = functions.initFails;
    assert.equal(
      (await control.load(handler, guest.writeFiles(files), { execution, init: { timeoutMs: 5_000 } })).kind,
      "loaded",
    );
    assert.equal((await control.initialised()).kind, "failed");
    assert.equal((await control.init()).kind, "ready");
    const { inits, loads } = JSON.parse((await (await guest.data()).json({})).body.toString());
    assert.deepEqual({ inits, loads }, { inits: 2, loads: 1 });
  });

  test("what LOAD says of init is checked, and how long it may take", async (t) => {
    const guest = await suite.start(t);
    const control = await guest.control();
    const { handler, files } = functions.initHangs;
    await control.load(handler, guest.writeFiles(files), { execution, init: { timeoutMs: 50 } });
    const outcome = await control.initialised();
    assert.ok(outcome.kind === "failed");
    assert.match(outcome.failed.error.message, /50 ms/);
    const other = await (await suite.start(t)).control();
    other.sendLoad(handler, guest.folder, { execution, init: { timeoutMs: 0 } });
    await other.closed;
  });

  test("ends an init that does not end itself, at its timeout", async (t) => {
    const guest = await suite.start(t);
    const control = await guest.control();
    const { handler, files } = functions.initHangs;
    await control.load(handler, guest.writeFiles(files), { execution });
    const outcome = await control.init(50);
    assert.ok(outcome.kind === "failed");
    assert.equal(outcome.failed.code, "init-failed");
    assert.match(outcome.failed.error.message, /50 ms/);
    assert.equal(await control.ping(), 0);
  });

  test("answers PING with the number of running invocations", async (t) => {
    const { control, data } = await suite.ready(t, functions.wait);
    assert.equal(await control.ping(), 0);
    const running = [1, 2, 3].map((marker) =>
      data.start({ contentType: "application/json", body: JSON.stringify({ ms: 60_000, marker }) }),
    );
    await Promise.all(running.map((invocation) => within(invocation.accepted, "ACCEPTED")));
    assert.equal(await control.ping(), 3);
    for (const invocation of running) invocation.cancel();
    await Promise.all(running.map((invocation) => invocation.end()));
    assert.equal(await control.ping(), 0);
  });

  test("drains: refuses what is new, ends what runs, exits with 0", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.wait);
    const running = data.start({ contentType: "application/json", body: '{"ms":150,"marker":"last"}' });
    await within(running.accepted, "ACCEPTED");
    control.drain();
    await control.ping();
    const refused = await data.json({});
    assert.deepEqual([refused.kind, refused.reason], ["misrouted", "draining"]);
    const outcome = await running.end();
    assert.equal(outcome.body.toString(), "waited last");
    await control.log((entry) => entry.text === "waited last", "written just before the exit");
    assert.deepEqual(await within(guest.exited, "exit"), { code: 0, signal: null });
  });

  test("drains at once when idle, and cancels what outlives the grace", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.wait);
    const running = data.start({ contentType: "application/json", body: '{"ms":60000,"marker":"long"}' });
    await within(running.accepted, "ACCEPTED");
    control.drain(20);
    assert.equal((await running.end()).kind, "cancelled");
    assert.deepEqual(await within(guest.exited, "exit"), { code: 0, signal: null });
    const idle = await suite.ready(t, functions.echo);
    idle.control.drain();
    assert.deepEqual(await within(idle.guest.exited, "exit"), { code: 0, signal: null });
  });

  test("SIGTERM drains and exits with 0", async (t) => {
    const { guest, data } = await suite.ready(t, functions.wait);
    const running = data.start({ contentType: "application/json", body: '{"ms":100,"marker":"last"}' });
    await within(running.accepted, "ACCEPTED");
    guest.child.kill("SIGTERM");
    assert.equal((await running.end()).body.toString(), "waited last");
    assert.deepEqual(await within(guest.exited, "exit"), { code: 0, signal: null });
  });

  test("refuses the older epoch and lets go of it when a newer one comes", async (t) => {
    const { guest, data: old } = await suite.ready(t, functions.wait);
    const running = old.start({ contentType: "application/json", body: '{"ms":100,"marker":"kept"}' });
    await within(running.accepted, "ACCEPTED");
    const newer = await guest.data({ epoch: 2 });
    await until(() => old.refused !== undefined, "refusal of the old epoch");
    assert.equal(old.refused, "epoch");
    const refused = old.start({ contentType: "application/json", body: "{}" });
    const outcome = await refused.end();
    assert.ok(outcome.kind === "misrouted" || outcome.kind === "lost", `not ${outcome.kind}`);
    assert.equal(outcome.accepted, false);
    assert.equal((await running.end()).body.toString(), "waited kept", "what it had accepted is answered");
    await within(old.closed, "end of the old epoch's stream");
    await assert.rejects(guest.data({ epoch: 1 }), /epoch/);
    assert.equal((await newer.json({ ms: 0, marker: "new" })).body.toString(), "waited new");
    const sameEpoch = await guest.data({ epoch: 2 });
    assert.equal((await sameEpoch.json({ ms: 0, marker: "same" })).body.toString(), "waited same");
  });

  test("tells a gateway its state, slots and revision", async (t) => {
    const guest = await suite.start(t);
    assert.deepEqual((await guest.data()).welcome, { state: "pending", slots: 0 });
    await guest.ready(functions.echo, { execution, concurrency: 7 });
    assert.deepEqual((await guest.data()).welcome, { state: "ready", slots: 7, bound: { ...REVISION } });
  });

  test("a frame of the wrong direction closes its stream only", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.echo);
    const other = await guest.data();
    other.link.send(GUEST_FRAMES.ACCEPTED, 0, 1, "", null);
    await within(other.closed, "end of the stream that broke the contract");
    assert.equal((await data.json("well")).body.toString(), "well");
    assert.equal(await control.ping(), 0);
  });
}
