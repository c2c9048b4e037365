import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { bundleGuests } from "#guest/bundle.ts";
import { GuestDriver } from "#guest/testing/guest-driver.ts";
import { within } from "#guest/testing/limit.ts";

/** As it is shipped: the bundler is what gives the guest its own globals. */
const folder = mkdtempSync(join(tmpdir(), "colibri-guest-"));
const command = { file: process.execPath, args: [(await bundleGuests(folder)).nodejs] };
after(() => rmSync(folder, { recursive: true, force: true }));

/** Forms of a handler, kept alive on globals that were theirs before `damage` came over those that all share. */
const functionWith = (damage: string) => ({
  handler: "index.mjs",
  files: {
    "index.mjs": `
      const later = globalThis.setTimeout;
      const { Promise, JSON } = globalThis;
      const wait = (ms) => new Promise((go) => later(go, ms));
      ${damage}
      const forms = {
        json: () => ({ a: [1] }),
        text: () => "text",
        bytes: () => new Uint8Array([1, 2]),
        later: async () => { await wait(2); return "later"; },
        large: () => "x".repeat(600_000),
        async *stream() { yield "one "; await wait(1); yield "two"; },
        throws() { throw new TypeError("thrown"); },
        async rejects() { await wait(1); throw new TypeError("rejected"); },
        hangs: (_, { signal }) => new Promise((go) => signal.addEventListener("abort", () => go("late"))),
        context: (_, context) => [typeof context.remaining(), context.function],
        logs: () => { console.log("logged"); return ""; },
      };
      export default (input, context) => forms[input.form](input, context);
    `
      .replace("new (async () => {})().constructor", "new ((async () => {})().constructor)")
      .replace("new (async () => {})().constructor", "new ((async () => {})().constructor)"),
  },
});

const DAMAGE: Readonly<Record<string, string>> = {
  timers:
    "for (const name of ['setTimeout', 'clearTimeout', 'setImmediate', 'queueMicrotask']) globalThis[name] = null;",
  "JSON's methods": "JSON.stringify = () => { throw new Error('no JSON'); }; JSON.parse = () => 'not what was sent';",
  "Buffer's methods":
    "for (const name of ['from', 'concat', 'isBuffer']) Buffer[name] = () => { throw new Error('no Buffer'); };",
  "a fake clock":
    "Date.now = () => 0; globalThis.Date = class { static now() { throw new Error('no Date'); } }; performance.now = () => Number.NaN;",
  constructors:
    "for (const name of ['Promise', 'Map', 'Set', 'Error', 'SyntaxError', 'RegExp', 'String', 'Number', 'Object', 'Array', 'Symbol', 'Math', 'Buffer', 'JSON', 'process', 'performance', 'console']) { const kept = console; globalThis[name] = undefined; globalThis.console = kept; }",
};

async function damaged(t: TestContext, damage: string) {
  const guest = await GuestDriver.start(command);
  t.after(() => guest.stop());
  return await guest.ready(functionWith(damage));
}

for (const [what, damage] of Object.entries(DAMAGE))
  test(`user code that replaces ${what} gets its answers, errors, logs and cancels all the same`, async (t) => {
    const { control, data } = await damaged(t, damage);
    const texts: Record<string, string> = {
      ...{ json: '{"a":[1]}', text: "text", bytes: "\u0001\u0002", later: "later", stream: "one two" },
      ...{ large: "x".repeat(600_000), context: '["number","thumbnail"]', logs: "" },
    };
    for (const [form, text] of Object.entries(texts)) {
      const outcome = await data.json({ form });
      assert.deepEqual(
        [outcome.kind, outcome.body.toString().slice(0, 100)],
        ["ok", text].map((each) => each.slice(0, 100)),
        `${form}: ${outcome.error?.stack}`,
      );
    }
    for (const [form, message] of [
      ["throws", "thrown"],
      ["rejects", "rejected"],
    ]) {
      const outcome = await data.json({ form });
      assert.deepEqual(
        [outcome.code, outcome.error?.name, outcome.error?.message],
        ["function-error", "TypeError", message],
      );
    }
    const hanging = data.start({ contentType: "application/json", body: '{"form":"hangs"}' });
    await within(hanging.accepted, "ACCEPTED");
    hanging.cancel();
    assert.equal((await hanging.end()).kind, "cancelled");
    const entry = await control.log(({ text }) => text === "logged", "of the function");
    assert.ok(Math.abs(entry.atMs - Date.now()) < 60_000, `logged at ${entry.atMs}`);
    assert.equal(await control.ping(), 0);
  });
