import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createSystemClock, sleep } from "./clock.ts";
import { readStat } from "./process-group.ts";
import { Shells } from "./shells.ts";

const clock = createSystemClock();
let shells: Shells;
const sh = (script: string, input = "", timeoutMs = 10_000) => shells.run("/bin/sh", ["-c", script], input, timeoutMs);

beforeEach(() => {
  shells = new Shells({ clock });
});

test("a program has its arguments and input as they are, and its output is told as it is", async () => {
  const args = ["it's", "$HOME `id`", "two\nlines", "", "é"];
  assert.equal(
    await shells.run("/usr/bin/printf", ["<%s>", ...args], "", 10_000),
    args.map((arg) => `<${arg}>`).join(""),
  );
  for (const input of ["", "no end of line", "$x `id` \\ 'q'\n\n", "x".repeat(300_000)])
    assert.equal(await sh("cat", input), input === "" || input.endsWith("\n") ? input : `${input}\n`);
});

test("the same shell runs what comes after, and several run what comes at once", async () => {
  const parent = () => sh("echo $PPID");
  const first = await parent();
  assert.equal(await parent(), first);
  const both = await Promise.all([parent(), parent()]);
  assert.notEqual(both[0], both[1]);
  assert.ok([both[0], both[1]].includes(first));
});

test("a failure is what the program said, and the shell goes on", async () => {
  const first = await sh("echo $PPID");
  await assert.rejects(sh("echo fine; echo no such thing >&2; exit 3"), /sh -c .*: no such thing$/);
  await assert.rejects(sh("exit 7"), /exited with code 7/);
  await assert.rejects(shells.run("/nowhere/tool", [], "", 1_000), /\/nowhere\/tool.*not found/s);
  assert.equal(await sh("echo $PPID"), first);
});

test("what does not end in time is killed with what it started, and what comes next runs elsewhere", async () => {
  const first = await sh("echo $PPID");
  let pid = 0;
  const hanging = sh("echo $$ > /dev/null; sleep 60 & wait", "", 200);
  await assert.rejects(hanging, /no end within 200 ms/);
  pid = Number(await sh("echo $PPID"));
  assert.notEqual(pid, Number(first));
  while (readStat(Number(first)) !== undefined) await sleep(clock, 5);
});

test("a shell that is killed meanwhile is told, and another one takes its place", async () => {
  const pid = Number(await sh("echo $PPID"));
  const running = sh("sleep 60");
  await sleep(clock, 50);
  process.kill(-pid, "SIGKILL");
  await assert.rejects(running, /the shell ended with SIGKILL/);
  assert.match(await sh("echo again"), /again/);
});

test("idle shells keep no process from ending, and end with it", () => {
  const module = fileURLToPath(new URL("./shells.ts", import.meta.url));
  const clockModule = fileURLToPath(new URL("./clock.ts", import.meta.url));
  const script = `
    const { Shells } = await import(${JSON.stringify(module)});
    const { createSystemClock } = await import(${JSON.stringify(clockModule)});
    const shells = new Shells({ clock: createSystemClock() });
    process.stdout.write(await shells.run("/bin/sh", ["-c", "echo $PPID"], "", 5_000));
  `;
  const options = { encoding: "utf8", timeout: 20_000 } as const;
  const pid = Number(execFileSync(process.execPath, ["--input-type=module", "-e", script], options));
  assert.ok(pid > 1);
  const deadline = clock.monotonic() + 5_000;
  while (readStat(pid) !== undefined && clock.monotonic() < deadline);
  assert.equal(readStat(pid), undefined);
});
