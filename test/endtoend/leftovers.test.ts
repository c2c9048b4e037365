// What a platform leaves that is killed and whose home does not come back: doctor names it, and removes it when it is told so.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, renameSync } from "node:fs";
import { test } from "node:test";
import { probeContainers } from "#drivers/sandbox/container/probe.ts";
import { homeKey } from "#platform/main/home.ts";
import { node, Place, startPlatform, until } from "./platform.ts";
import { guestsOf, processesOf } from "./processes.ts";

const probe = await probeContainers({ wanted: undefined, searchPath: process.env.PATH ?? "" });
const skip = probe.works ? false : `no container sandboxes here: ${probe.reason}. ${probe.remedy}`;

interface Said {
  readonly code: number | null;
  /** Of what is left of this platform alone: others may have left something as well. */
  readonly findings: { readonly verdict: string; readonly detail: string; readonly remedy?: string }[];
}

async function doctor(place: Place, id: string, ...args: string[]): Promise<Said> {
  const { code, out, err } = await place.colibri("doctor", "--json", ...args);
  assert.equal(err, "");
  const all = JSON.parse(out).findings as (Said["findings"][number] & { check: string })[];
  const about = ({ check, detail }: (typeof all)[number]) =>
    check === "leftovers" && [place.home, id].some((word) => detail.includes(word));
  return { code, findings: all.filter(about) };
}

function isTable(id: string): boolean {
  return execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).includes(`colibri_${id}`);
}

/** Everything but its sandboxes, which have nobody then. */
async function killAll(home: string): Promise<void> {
  const own = processesOf(home).filter(({ sandbox }) => !sandbox);
  for (const { pid } of own) process.kill(pid, "SIGSTOP");
  for (const { pid } of own) process.kill(pid, "SIGKILL");
  await until("they are gone", () => processesOf(home).every(({ sandbox }) => sandbox));
  assert.ok(guestsOf(home).length > 0, "no sandbox was left");
}

test("what a killed platform left is named with its home, and removed by --clean", { skip }, async (t) => {
  const place = new Place({ COLIBRI_SANDBOX: "container" });
  t.after(() => place.remove());
  const platform = await startPlatform(place);
  t.after(() => platform.close());
  const { home } = place;
  const id = homeKey(home).slice(0, 6);
  await platform.deploy("app", { hello: node("export default () => 'hello';") });
  assert.equal((await platform.call("app/hello")).text, "hello");

  assert.deepEqual((await doctor(place, id)).findings, []);
  const refused = await doctor(place, id, "--clean", id);
  assert.deepEqual([refused.code, refused.findings.length], [1, 1]);
  assert.match(refused.findings[0]!.detail, /^nothing of .* can be removed$/);
  assert.equal((await platform.call("app/hello")).text, "hello", "--clean ended a sandbox of a platform that runs");
  assert.ok(isTable(id), "--clean removed the table of a platform that runs");

  await killAll(home);
  renameSync(home, `${home}-elsewhere`);
  const { findings } = await doctor(place, id);
  assert.equal(findings.length, 1);
  assert.equal(findings[0]!.verdict, "warn");
  assert.match(findings[0]!.detail, /^\d+ processes, the nft table .*, of .*, whose platform was killed$/);
  assert.ok(findings[0]!.detail.includes(home));
  assert.match(findings[0]!.remedy!, /doctor --clean$/);

  const cleaned = await doctor(place, id, "--clean", id);
  assert.match(cleaned.findings[0]!.detail, /^removed: /);
  assert.deepEqual((await doctor(place, id)).findings, []);
  assert.deepEqual(guestsOf(home), []);
  assert.equal(isTable(id), false);
  assert.deepEqual(
    readdirSync("/sys/class/net").filter((link) => link.startsWith(`cb${id}-`)),
    [],
  );
  assert.deepEqual(
    readdirSync("/run/colibri-homes").filter((name) => name.startsWith(id)),
    [],
  );
});

test("a start on the home of a killed platform tells that its sandboxes are ended, and ends them", {
  skip,
}, async (t) => {
  const place = new Place({ COLIBRI_SANDBOX: "container" });
  t.after(() => place.remove());
  const killed = await startPlatform(place);
  assert.doesNotMatch(killed.said, /earlier platform/);
  await killed.deploy("app", { hello: node("export default () => 'hello';") });
  assert.equal((await killed.call("app/hello")).text, "hello");
  const left = guestsOf(place.home);
  await killAll(place.home);
  const next = await startPlatform(place);
  t.after(() => next.close());
  assert.match(next.said, /^An earlier platform was killed: 1 sandbox that it left will be ended\.$/m);
  const pids = new Set(left.map(({ pid }) => pid));
  await until("they are ended", () => !guestsOf(place.home).some(({ pid }) => pids.has(pid)));
});
