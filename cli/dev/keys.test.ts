import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import { test } from "node:test";
import type { DevTimer } from "#platform/dev/index.ts";
import type { Surroundings } from "../surroundings.ts";
import { listenForKeys } from "./keys.ts";
import { Screen } from "./screen.ts";

/** Keys on a terminal, and what came of them. */
function pressing(timers: readonly DevTimer[]) {
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    raw: [] as boolean[],
    setRawMode: (on: boolean) => stdin.raw.push(on),
  });
  let shown = "";
  const stdout = Object.assign(
    new Writable({
      write(chunk, _encoding, done) {
        shown += chunk;
        done();
      },
    }),
    { isTTY: true },
  );
  const surroundings = { stdin, stdout, env: { NO_COLOR: "1" } } as unknown as Surroundings;
  const done: string[] = [];
  const note = (what: string) => () => void done.push(what);
  const close = listenForKeys(surroundings, new Screen(surroundings, []), {
    ...{ restart: note("restart"), open: note("open"), banner: note("banner"), quit: note("quit") },
    timers: () => timers,
    fire: async (timer) => {
      done.push(`fire ${timer.function}`);
      throw new Error("gone");
    },
  });
  const press = async (keys: string) => {
    stdin.write(keys);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { press, done, stdin, close: close!, shown: () => shown };
}

test("each key does its own, Ctrl-C quits, and the terminal is given back", async () => {
  const { press, done, stdin, close, shown } = pressing([]);
  await press("roc");
  await press("zh");
  await press("q");
  await press("\u0003");
  assert.deepEqual(done, ["restart", "open", "banner", "quit", "quit"]);
  assert.match(shown(), /r {2}a new sandbox for every function/);
  close();
  await press("r");
  assert.deepEqual([done.length, stdin.raw], [5, [true, false]]);
});

test("a timer is fired at once if it is the only one, else after it was chosen", async () => {
  const none = pressing([]);
  await none.press("t");
  assert.match(none.shown(), /No function has a timer/);
  const only = pressing([{ function: "tidy", schedule: "* * * * *" }]);
  await only.press("t");
  assert.deepEqual(only.done, ["fire tidy"]);
  assert.match(only.shown(), /tidy: gone/);
  const two = pressing([
    { function: "tidy", schedule: "* * * * *" },
    { function: "count", schedule: "0 * * * *" },
  ]);
  await two.press("t");
  assert.match(two.shown(), /Which timer\?\n {2}1 {2}tidy {2}\* \* \* \* \*\n {2}2 {2}count {2}0 \* \* \* \*\n/);
  await two.press("2");
  await two.press("tr");
  await two.press("r");
  assert.deepEqual(two.done, ["fire count", "restart"]);
  assert.match(two.shown(), /None is fired\./);
});

test("what is no terminal has no keys", () => {
  const surroundings = { stdin: new PassThrough(), stdout: new PassThrough(), env: {} } as unknown as Surroundings;
  const nothing = () => assert.fail("called");
  const actions = { restart: nothing, timers: nothing, fire: nothing, open: nothing, banner: nothing, quit: nothing };
  assert.equal(listenForKeys(surroundings, new Screen(surroundings, []), actions), undefined);
});
