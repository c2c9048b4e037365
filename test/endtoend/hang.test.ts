// A role may hang without dying: it is killed and started again, and what runs in sandboxes goes on.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROLES } from "#platform/main/supervisor.ts";
import { node, type Platform, signal, startPlatform, until } from "./platform.ts";
import { guestsOf, roleOf } from "./processes.ts";

/** The supervisor waits 10 s; a loaded machine longer. */
const NOTICED_MS = 40_000;
const HOW = "gave no sign of life for 10 s and was killed";

let platform: Platform;
let complaints = "";
before(async () => {
  platform = await startPlatform();
  platform.child.stderr!.on("data", (text: string) => {
    complaints += text;
  });
  await platform.deploy("app", { who: node("export default () => 1;") });
  // A gateway that starts with an older copy, and control away, would take the sandbox for one that nobody needs.
  const copy = join(platform.home, "gateway", "plans", "routes.json");
  await until(
    "the gateway's copy has it",
    () => existsSync(copy) && readFileSync(copy, "utf8").includes("default/app/who"),
  );
});
after(() => platform?.close());

test("every role stopped at once is killed and started again; the sandbox that ran before runs on", async () => {
  const before = await platform.call("app/who");
  assert.equal(before.status, 200, before.text);
  const guests = guestsOf(platform.home).map(({ pid }) => pid);
  assert.notEqual(guests.length, 0);
  const hung = new Map(ROLES.map((role) => [role, platform.pidOf(role)]));
  for (const pid of hung.values()) signal(pid, "SIGSTOP");
  for (const [role, pid] of hung)
    await until(
      `${role} is another process`,
      () => ![undefined, pid].includes(roleOf(platform.home, role)?.pid),
      NOTICED_MS,
    );
  await until("it answers", async () => (await platform.call("app/who").catch(() => undefined))?.status === 200);
  // Not that it is the one to answer: a gateway that hears of it late starts another.
  assert.ok(guestsOf(platform.home).some(({ pid }) => guests.includes(pid)));
  const log = readFileSync(join(platform.home, "logs", "platform.ndjson"), "utf8").split("\n");
  for (const role of ROLES) {
    assert.match(complaints, new RegExp(`^colibri: ${role} ended \\(it ${HOW}\\) and is started again`, "m"));
    assert.equal(log.filter((line) => line.includes(HOW) && line.includes(`"role":"${role}"`)).length, 1, role);
  }
});
