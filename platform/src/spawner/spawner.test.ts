import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createSystemClock, sleep } from "#base/clock.ts";
import { createFreezer } from "#base/frozen.fixture.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { groupMembers, isRunning, readStat } from "#base/process-group.ts";
import { descendantsOf } from "#base/reaper.ts";
import { KEPT_OUTPUT, spawnerEvents, spawnerRequests } from "#contract/spawner/link.ts";
import { createSpawner, type Spawner } from "./spawner.ts";

const clock = createSystemClock();
const network = createSocketNetwork();
let folder: string;
let spawner: Spawner;
const links: { close(): void }[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "colibri-spawner-"));
  spawner = make();
  await spawner.open(AbortSignal.timeout(5_000));
});

afterEach(async () => {
  for (const link of links.splice(0)) link.close();
  await spawner.close();
  rmSync(folder, { recursive: true });
});

const KILL_MS = 300;
/** Shell: prints the pid of a session of its own, then says that it is one. */
const LEAVES = "mkfifo left; setsid sh -c 'echo $$; echo gone > left; exec sleep 60' & cat left;";

function make(): Spawner {
  const options = { address: join(folder, "spawner.sock"), killMs: KILL_MS };
  return createSpawner({ network, clock, log: createSilentLog() }, options);
}

interface Told {
  readonly id: string;
  text: string;
  exit: { code: number | null; signal: string | null } | undefined;
}

/** An agent's end of the link, with what it was told by child. */
async function connect() {
  const told = new Map<string, Told>();
  const of = (id: string) => told.get(id) ?? told.set(id, { id, text: "", exit: undefined }).get(id)!;
  const waiting = new Set<() => void>();
  const link = new MessageLink(
    { clock },
    { asks: spawnerRequests, hears: spawnerEvents, serves: {}, emits: {} },
    {
      serve: {},
      hear: {
        output({ id, text }) {
          of(id).text += text;
          for (const look of waiting) look();
        },
        exited({ id, code, signal }) {
          of(id).exit = { code, signal };
          for (const look of waiting) look();
        },
      },
      closed: () => {},
    },
  );
  link.attach(await network.dial(join(folder, "spawner.sock"), "spawner", link.handlers));
  links.push(link);
  const { children } = await link.ask("list", {}, 5_000);
  const until = (id: string, seen: (told: Told) => boolean) =>
    new Promise<Told>((resolve) => {
      const look = () => {
        if (!seen(of(id))) return;
        waiting.delete(look);
        resolve(of(id));
      };
      waiting.add(look);
      look();
    });
  const shell = (id: string, script: string, environment: Record<string, string> = { A: "1" }) =>
    link.ask("spawn", { id, command: ["/bin/sh", "-c", script], cwd: folder, environment }, 5_000);
  return { ask: link.ask.bind(link) as typeof link.ask, close: () => link.close(), children, of, until, shell };
}

test("a child's output and exit code are told, and it sees exactly the environment it was given", async () => {
  const agent = await connect();
  await agent.shell("a", "cat; env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=; pwd; echo bad >&2; exit 3");
  const { text, exit } = await agent.until("a", (told) => told.exit !== undefined);
  assert.deepEqual(text.split("\n").sort(), ["", "A=1", "bad", folder].sort());
  assert.deepEqual(exit, { code: 3, signal: null });
});

test("a program that is not there, and an id that is taken, are refused with a reason", async () => {
  const agent = await connect();
  const command = { command: ["/nowhere/node"], cwd: folder, environment: {} };
  await assert.rejects(agent.ask("spawn", { id: "a", ...command }, 5_000), /start-failed|\/nowhere\/node.*ENOENT/);
  await agent.shell("a", "exec sleep 60");
  await assert.rejects(agent.shell("a", "true"), /there is a child a already/);
});

test("kill reaches the whole group, and the exit is told when nothing of it is left", async () => {
  const agent = await connect();
  const { pid, startTime } = await agent.shell("a", "sleep 60 & sleep 60 & echo up; wait");
  await agent.until("a", (told) => told.text === "up\n");
  assert.equal(readStat(pid)?.startTime, startTime);
  assert.equal(groupMembers(pid).length, 3);
  await agent.ask("kill", { id: "a", signal: "SIGKILL" }, 5_000);
  const { exit } = await agent.until("a", (told) => told.exit !== undefined);
  assert.deepEqual(exit, { code: null, signal: "SIGKILL" });
  assert.deepEqual(groupMembers(pid), []);
});

test("a leader that exits takes the rest of its group with it", async () => {
  const agent = await connect();
  const { pid } = await agent.shell("a", "sleep 60 & exit 0");
  await agent.until("a", (told) => told.exit !== undefined);
  assert.deepEqual(groupMembers(pid), []);
});

test("one who left the group and holds the output does not hold up the exit", async () => {
  const agent = await connect();
  await agent.shell("a", `${LEAVES} exit 0`);
  const { text } = await agent.until("a", (told) => told.exit !== undefined);
  process.kill(Number.parseInt(text, 10));
});

test("one who left the group goes with its child: it carries the folder, or is still below it", async () => {
  const agent = await connect();
  await agent.shell("exits", `${LEAVES} exit 0`, { HOME: join(folder, "tmp") });
  const first = await agent.until("exits", (told) => told.exit !== undefined);
  assert.deepEqual(groupMembers(Number.parseInt(first.text, 10)), []);
  const { pid } = await agent.shell("killed", "env -i setsid sleep 60 & wait");
  while (descendantsOf(pid).length === 0) await sleep(clock, 5);
  const [kin] = descendantsOf(pid);
  await agent.ask("kill", { id: "killed", signal: "SIGKILL" }, 5_000);
  await agent.until("killed", (told) => told.exit !== undefined);
  assert.ok(!isRunning(kin!.pid, kin!.startTime));
});

test("a child that can't be killed is told as killed after a time, and does not hold up close", async (t) => {
  const freezer = createFreezer("spawner");
  if (typeof freezer === "string") return t.skip(freezer);
  t.after(() => freezer.remove());
  const agent = await connect();
  const stuck = await agent.shell("stuck", "exec sleep 60");
  freezer.freeze(stuck.pid);
  await agent.ask("kill", { id: "stuck", signal: "SIGKILL" }, 5_000);
  const { exit } = await agent.until("stuck", (told) => told.exit !== undefined);
  assert.deepEqual(exit, { code: null, signal: "SIGKILL" });
  assert.equal(readStat(stuck.pid)?.state, "D");
  const second = await agent.shell("second", "exec sleep 60");
  freezer.thaw();
  freezer.freeze(second.pid);
  const begun = clock.monotonic();
  await spawner.close();
  assert.ok(clock.monotonic() - begun < KILL_MS + 2_000);
  assert.equal(readStat(second.pid)?.state, "D");
  freezer.thaw();
  while (readStat(second.pid) !== undefined) await sleep(clock, 5);
});

test("children outlive the agent's link; the end of their output and their exits wait for the next one", async () => {
  const first = await connect();
  const { pid } = await first.shell("stays", "exec sleep 60");
  await first.shell("ends", `sleep 0.05; yes 0123456789abcdef | head -c 100000; echo; echo last words; exit 4`);
  first.close();
  // Whether the child ended before or after this link came: what is told is the same.
  const second = await connect();
  const { text, exit } = await second.until("ends", (told) => told.exit !== undefined);
  assert.ok(text.endsWith("last words\n"));
  assert.deepEqual(exit, { code: 4, signal: null });
  assert.ok(second.children.some((child) => child.id === "stays" && child.pid === pid));
});

test("what is kept of output is bounded, told once, and before the list is answered", async () => {
  const first = await connect();
  const { pid } = await first.shell("a", `sleep 0.1; yes 0123456789abcdef | head -c 200000; exit 0`);
  first.close();
  while (groupMembers(pid).length > 0 || readStat(pid) !== undefined) await sleep(clock, 5);
  const second = await connect();
  await second.until("a", (told) => told.exit !== undefined);
  assert.ok(second.of("a").text.length <= KEPT_OUTPUT, `${second.of("a").text.length}`);
  assert.ok(second.of("a").text.length > 0);
  second.close();
  const third = await connect();
  assert.equal(third.of("a").exit, undefined);
  assert.equal(third.of("a").text, "");
});

test("a process of another spawner is adopted, watched and killed; a pid that was given away is not", async () => {
  const orphan = spawn("/bin/sleep", ["60"], { detached: true, stdio: "ignore" });
  const { startTime } = readStat(orphan.pid!)!;
  const agent = await connect();
  const wrong = { id: "a", pid: orphan.pid!, startTime: `${Number(startTime) - 1}`, cwd: folder };
  assert.deepEqual(await agent.ask("adopt", wrong, 5_000), { adopted: false });
  assert.deepEqual(await agent.ask("adopt", { id: "a", pid: orphan.pid!, startTime, cwd: folder }, 5_000), {
    adopted: true,
  });
  await agent.ask("kill", { id: "a", signal: "SIGKILL" }, 5_000);
  const { exit } = await agent.until("a", (told) => told.exit !== undefined);
  assert.deepEqual(exit, { code: null, signal: null });
});

test("one whom a command leaves behind is the child: its output, its end, and the kill", async () => {
  const agent = await connect();
  const pidFile = join(folder, "pid");
  const leave = (id: string, script: string) => {
    const command = ["/bin/sh", "-c", `(${script}) & echo $! > ${pidFile}`];
    return agent.ask("spawn", { id, command, cwd: folder, environment: {}, pidFile }, 5_000);
  };
  const go = join(folder, "go");
  execFileSync("mkfifo", [go]);
  // Not before the command has ended: it would be told how, and not we.
  await leave("exits", `read go < ${go}; echo hello; exit 3`);
  await writeFile(go, "\n");
  const told = await agent.until("exits", ({ exit }) => exit !== undefined);
  assert.deepEqual([told.text, told.exit], ["hello\n", { code: 3, signal: null }]);
  // In the group of the command, and so in none that it leads.
  const { pid, startTime } = await leave("killed", "exec sleep 60");
  assert.ok(isRunning(pid, startTime));
  await agent.ask("kill", { id: "killed", signal: "SIGKILL" }, 5_000);
  const { exit } = await agent.until("killed", (one) => one.exit !== undefined);
  assert.deepEqual(exit, { code: null, signal: "SIGKILL" });
  assert.ok(!isRunning(pid, startTime));
});

test("of others whom a command leaves behind nothing stays when they end", async () => {
  const agent = await connect();
  const pidFile = join(folder, "pid");
  const others = "sleep 0 & echo $! > other; sleep 0.1 & echo $! >> other; sleep 60 & echo $! > pid";
  const command = ["/bin/sh", "-c", others];
  await agent.ask("spawn", { id: "a", command, cwd: folder, environment: {}, pidFile }, 5_000);
  for (const pid of readFileSync(join(folder, "other"), "utf8").trim().split("\n"))
    while (readStat(Number(pid)) !== undefined) await sleep(clock, 5);
  const failing = ["/bin/sh", "-c", "sleep 0 & echo $! > other; exit 1"];
  const refused = agent.ask("spawn", { id: "b", command: failing, cwd: folder, environment: {}, pidFile }, 5_000);
  await assert.rejects(refused);
  const pid = Number(readFileSync(join(folder, "other"), "utf8"));
  while (readStat(pid) !== undefined) await sleep(clock, 5);
});

test("a command that was to leave somebody behind and failed is refused with what it said", async () => {
  const agent = await connect();
  const command = ["/bin/sh", "-c", "echo no such rootfs >&2; exit 1"];
  const spawned = agent.ask("spawn", { id: "a", command, cwd: folder, environment: {}, pidFile: "none" }, 5_000);
  await assert.rejects(spawned, /no such rootfs/);
  await agent.shell("a", "true");
});

test("close kills every group, adopted ones too, and works twice", async () => {
  const orphan = spawn("/bin/sleep", ["60"], { detached: true, stdio: "ignore" });
  const agent = await connect();
  const { pid } = await agent.shell("a", "sleep 60 & echo up; wait");
  await agent.until("a", (told) => told.text === "up\n");
  const { startTime } = readStat(orphan.pid!)!;
  await agent.ask("adopt", { id: "b", pid: orphan.pid!, startTime, cwd: folder }, 5_000);
  await agent.shell("left", `${LEAVES} wait`, { TMPDIR: folder });
  const { text } = await agent.until("left", (told) => told.text.endsWith("gone\n"));
  await spawner.close();
  await spawner.close();
  assert.deepEqual([pid, orphan.pid!, Number.parseInt(text, 10)].flatMap(groupMembers), []);
});
