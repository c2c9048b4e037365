// Idle sandboxes are frozen, and answer all the same: nothing of them runs meanwhile, whoever dies.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { node, type Platform, python, signal, startPlatform, until } from "./platform.ts";
import { guestsOf, roleOf } from "./processes.ts";

const TICK_MS = 20;
const SCALING = { freezeAfter: "1s" };
// Says who answers, and how often its timer went off.
const TICKS = `
const me = crypto.randomUUID();
let ticks = 0;
setInterval(() => ticks++, ${TICK_MS});
export default () => ({ me, ticks });
`;
const TICKS_PYTHON = `
import threading, time, uuid
me = str(uuid.uuid4())
ticks = 0
def tick():
    global ticks
    while True:
        time.sleep(${TICK_MS / 1_000})
        ticks += 1
threading.Thread(target=tick, daemon=True).start()
def handler(input, context):
    return {"me": me, "ticks": ticks}
`;

interface Ticks {
  readonly me: string;
  readonly ticks: number;
}

/** Process ids on the host, by function. */
const guests = new Map<string, number>();
let platform: Platform;
before(async () => {
  platform = await startPlatform();
  await platform.deploy("app", {
    node: node(TICKS, { scaling: SCALING }),
    python: python(TICKS_PYTHON, { scaling: SCALING }),
    never: node(TICKS, { scaling: { freezeAfter: "never" } }),
  });
  for (const name of ["node", "python"]) guests.set(name, await guestOf(name));
});
after(() => platform?.close());

async function call(name: string): Promise<Ticks> {
  const { status, text, json } = await platform.call(`app/${name}`);
  assert.equal(status, 200, text);
  return json as Ticks;
}

/** As the kernel has it: stopped, or in a control group that is frozen. */
function isStopped(pid: number): boolean {
  const [, group = ""] = /^\d+:(?:freezer)?:(\/colibri\/.*)$/m.exec(read(`/proc/${pid}/cgroup`)) ?? [];
  const isFrozen =
    read(`/sys/fs/cgroup/freezer${group}/freezer.state`).startsWith("FROZEN") ||
    /^frozen 1$/m.test(read(`/sys/fs/cgroup${group}/cgroup.events`));
  return isFrozen || /^State:\s+T/m.test(read(`/proc/${pid}/status`));
}

/** Nothing of what is not there. */
function read(path: string): string {
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}

/** The guest of a function, on the host. */
async function guestOf(name: string): Promise<number> {
  const others = new Set(guestsOf(platform.home).map(({ pid }) => pid));
  await call(name);
  const [guest] = guestsOf(platform.home).filter(({ pid }) => !others.has(pid));
  assert.ok(guest, `${name} has no guest of its own`);
  return guest.pid;
}

for (const name of ["node", "python"])
  test(`${name}: an idle sandbox stops, the metrics say so, and the next request is answered by it`, async (t) => {
    const guest = guests.get(name)!;
    const begunMs = performance.now();
    const before = await call(name);
    await until("it is frozen", () => isStopped(guest));
    const stoppedMs = performance.now();
    await until("the metrics say so", async () => {
      const { text } = await platform.api("/metrics");
      return /^colibri_sandboxes\{[^}]*state="frozen"[^}]*\} [1-9]/m.test(text);
    });
    // Time that passes for everybody else.
    const { ticks: begun } = await call("never");
    await until("some time has passed", async () => (await call("never")).ticks > begun + 50);
    assert.ok(isStopped(guest));
    const thawedMs = performance.now();
    const after = await call(name);
    const ranMs = stoppedMs - begunMs + performance.now() - thawedMs;
    assert.equal(after.me, before.me);
    const ticks = after.ticks - before.ticks;
    // A timer that was due when it stopped goes off when it goes on.
    t.diagnostic(`${ticks} ticks in ${Math.round(ranMs)} ms`);
    assert.ok(ticks <= ranMs / TICK_MS + 2, `it ran on: ${ticks} ticks in ${ranMs} ms`);
    assert.ok(!isStopped(guest));
  });

for (const role of ["gateway", "agent", "spawner"] as const)
  test(`a frozen sandbox answers after ${role} was killed`, async () => {
    const guest = guests.get("node")!;
    const { me } = await call("node");
    await until("it is frozen", () => isStopped(guest));
    const old = platform.pidOf(role);
    signal(old, "SIGKILL");
    await until("it is started again", () => (roleOf(platform.home, role)?.pid ?? old) !== old);
    const answer = await until("it answers", () => platform.call("app/node").catch(() => undefined));
    assert.equal(answer.status, 200, answer.text);
    assert.equal((answer.json as Ticks).me, me, "the same sandbox");
  });
