import assert from "node:assert/strict";
import { test } from "node:test";
import type { DrivenData } from "./driven-data.ts";
import type { GuestSuite } from "./guest-suite.ts";
import { until, within } from "./limit.ts";

/** Slots, routing, cancelling, deadlines, exits. */
export function runTests(suite: GuestSuite): void {
  const { functions } = suite;
  const wait = (data: DrivenData, marker: string, more = {}) =>
    data.start({ contentType: "application/json", body: JSON.stringify({ ms: 60_000, marker }), ...more });

  test("refuses more than its slots, and takes again when one is free", async (t) => {
    const { guest, data } = await suite.ready(t, functions.wait, { concurrency: 2 });
    const other = await guest.data();
    const [first, second] = [wait(data, "1"), wait(other, "2")];
    await within(Promise.all([first.accepted, second.accepted]), "ACCEPTED");
    for (const stream of [data, other]) {
      const refused = await stream.json({ ms: 0, marker: "3" });
      assert.deepEqual([refused.kind, refused.reason, refused.accepted], ["misrouted", "full", false]);
    }
    first.cancel();
    await first.end();
    assert.equal((await other.json({ ms: 0, marker: "4" })).body.toString(), "waited 4");
    second.cancel();
    await second.end();
  });

  test("of many in one go, those beyond the slots are refused and the others answered", async (t) => {
    const { data } = await suite.ready(t, functions.wait, { concurrency: 3 });
    const all = Array.from({ length: 8 }, (_, index) =>
      wait(data, String(index), { body: `{"ms":50,"marker":"${index}"}` }),
    );
    const outcomes = await Promise.all(all.map((invocation) => invocation.end()));
    assert.deepEqual(
      outcomes.map((outcome) => outcome.reason ?? outcome.body.toString()),
      ["waited 0", "waited 1", "waited 2", "full", "full", "full", "full", "full"],
    );
  });

  test("another revision, app, tenant or function is refused, and nothing ran", async (t) => {
    const { control, data } = await suite.ready(t, functions.log);
    for (const other of [{ revision: "r2" }, { function: "other" }, { app: "other" }, { tenant: "other" }]) {
      const outcome = await data.json({ marker: "never", ms: 0 }, other);
      assert.deepEqual([outcome.kind, outcome.reason], ["misrouted", "other-revision"], JSON.stringify(other));
    }
    assert.equal((await data.json({ marker: "once", ms: 0 })).kind, "ok");
    await control.log((entry) => entry.text.includes("once"), "of the one that ran");
    assert.ok(!control.logs.some((entry) => entry.text.includes("never")));
  });

  test("before it is ready, it is bound to nothing", async (t) => {
    const guest = await suite.start(t);
    const data = await guest.data();
    assert.equal((await data.json({})).reason, "unbound");
    const control = await guest.control();
    const { handler, files } = functions.echo;
    await control.load(handler, guest.writeFiles(files), { execution: suite.execution });
    assert.equal((await data.json({})).reason, "unbound", "loaded, not initialised");
    await control.init();
    assert.equal((await data.json("now")).body.toString(), "now");
  });

  test("CANCEL aborts the handler's signal and the invocation ends as cancelled", async (t) => {
    const { control, data } = await suite.ready(t, functions.wait);
    for (const reason of ["client", "deadline", "shutdown"] as const) {
      const running = wait(data, reason);
      await control.log((entry) => entry.text === `begun ${reason}`, "of its start");
      running.cancel(reason);
      assert.equal((await running.end()).kind, "cancelled");
      const entry = await control.log((entry) => entry.text === `aborted ${reason}`, "of the abort");
      assert.equal(entry.invocation, running.id);
    }
    assert.equal(await control.ping(), 0);
  });

  test("CANCEL right behind INVOKE, and before its body is whole, ends it too; a late CANCEL is ignored", async (t) => {
    const { control, data } = await suite.ready(t, functions.wait, { concurrency: 1 });
    const atOnce = wait(data, "at once");
    atOnce.cancel();
    assert.equal((await atOnce.end()).kind, "cancelled");
    const half = data.start({ contentType: "application/json", body: '{"ms":', open: true });
    await within(half.accepted, "ACCEPTED");
    half.cancel();
    assert.equal((await half.end()).kind, "cancelled");
    half.cancel();
    assert.equal((await data.json({ ms: 0, marker: "next" })).body.toString(), "waited next");
    assert.equal(await control.ping(), 0);
  });

  test("a data stream cut while invocations run aborts them, frees their slots, harms no other", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.wait, { concurrency: 2 });
    const other = await guest.data();
    const kept = wait(other, "kept");
    wait(data, "cut");
    for (const marker of ["kept", "cut"]) await control.log((entry) => entry.text === `begun ${marker}`, marker);
    data.close();
    await control.log((entry) => entry.text === "aborted cut", "of the abort");
    // The handler has heard of it, and has yet to end.
    for (let turn = 0; turn < 1_000 && (await control.ping()) > 1; turn++);
    assert.equal((await other.json({ ms: 0, marker: "next" })).body.toString(), "waited next");
    assert.equal(await control.ping(), 1);
    kept.cancel();
    assert.equal((await kept.end()).kind, "cancelled");
  });

  test("a data stream cut in the middle of a body frees the slot", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.echo, { concurrency: 1 });
    const half = data.start({ contentType: "text/plain", body: "half", open: true });
    await within(half.accepted, "ACCEPTED");
    data.close();
    const other = await guest.data();
    let active = 1;
    for (let turn = 0; active > 0 && turn < 1_000; turn++) active = await control.ping();
    assert.equal((await other.json("next")).body.toString(), "next");
  });

  test("a closed standard output and error do not kill it", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.log);
    guest.child.stdout!.destroy();
    guest.child.stderr!.destroy();
    assert.equal((await data.json({ marker: "piped", ms: 0 })).body.toString(), "logged");
    await control.log((entry) => entry.text === "out piped", "through the control stream");
    control.close();
    await control.closed;
    assert.equal((await data.json({ marker: "unheard", ms: 0 })).body.toString(), "logged");
    const again = await guest.control();
    await until(() => again.logs.some((entry) => entry.text === "out unheard"), "entry kept until the agent came back");
  });
}

/** User code that ends the process that it shares with the guest. */
export function exitTests(suite: GuestSuite): void {
  const { functions } = suite;

  test("ACCEPTED is sent before user code runs, so that an exit at once is known as the function's", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.exit);
    const running = data.start({ contentType: "application/json", body: '{"code":3,"ms":0}' });
    const outcome = await running.end();
    assert.deepEqual([outcome.kind, outcome.accepted], ["lost", true]);
    assert.deepEqual(await within(guest.exited, "exit"), { code: 3, signal: null });
    assert.match(guest.stderr, /exit\(3\) called by the function/);
    await within(control.closed, "end of the control stream");
  });

  test("an exit later takes the process too, and says so", async (t) => {
    const { guest, data } = await suite.ready(t, functions.exit);
    const outcome = await data.json({ code: 0, ms: 20 });
    assert.deepEqual([outcome.kind, outcome.accepted], ["lost", true]);
    assert.deepEqual(await within(guest.exited, "exit"), { code: 0, signal: null });
    assert.match(guest.stderr, /exit\(0\) called by the function/);
  });
}
