// docs/metrics.md is what a running platform prints, no more and no less.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CHECKOUT, node, Place, type Platform, startPlatform, until } from "./platform.ts";

let platform: Platform;
before(async () => {
  platform = await startPlatform(new Place({ COLIBRI_POOL: "nodejs:128=1..2" }));
  await platform.deploy("app", { fn: node("export default () => 1;") });
  assert.notEqual((await platform.tryDeploy("broken", { fn: node("export default (") })).code, 0);
  assert.equal((await platform.call("app/fn")).status, 200);
});
after(() => platform?.close());

interface Family {
  type: string;
  help: string;
  readonly roles: Set<string>;
  readonly labels: Set<string>;
}

/** Rows as in the page: name, type, roles, labels, meaning. */
function rowsOf(text: string): string[][] {
  const families = new Map<string, Family>();
  let current = "";
  for (const line of text.split("\n")) {
    const [, kind = "", name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (name !== "") current = name;
    const family = families.get(current) ?? { type: "", help: "", roles: new Set(), labels: new Set() };
    families.set(current, family);
    if (kind === "TYPE") family.type = rest;
    if (kind === "HELP") family.help = rest;
    for (const [, label = "", value = ""] of line.matchAll(/(\w+)="([^"]*)"/g)) {
      if (kind !== "") continue;
      if (label === "role") family.roles.add(value);
      else if (label !== "instance" && label !== "le") family.labels.add(label);
    }
  }
  families.delete("");
  const list = (items: Set<string>) => [...items].sort().join(", ");
  const rows = [...families].map(([name, { type, help, roles, labels }]) => [
    name,
    type,
    list(roles),
    list(labels),
    help,
  ]);
  return rows.sort(([a = ""], [b = ""]) => (a < b ? -1 : 1));
}

function rowsOfPage(): string[][] {
  const lines = readFileSync(join(CHECKOUT, "docs", "metrics.md"), "utf8").split("\n");
  return lines
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim().replaceAll("`", "")));
}

const read = async () => (await platform.api("/metrics")).text;

test("every metric of a running platform stands in docs/metrics.md, and no other", async () => {
  const text = await until("every role has reported what happened", async () => {
    const now = await read();
    const roles = ["gateway", "control", "agent", "async"].every((role) =>
      now.includes(`process_resident_memory_bytes{role="${role}"`),
    );
    const starts = /^colibri_sandbox_starts_total\{.*outcome="ok"\} [1-9]/m.test(now);
    return roles && starts && now.includes("colibri_invocations_total{") && now;
  });
  assert.deepEqual(rowsOfPage(), rowsOf(text));
});

test("deployments are counted by how they ended, sandboxes and bundles by what is there", async () => {
  const value = async (series: string) => {
    const line = (await read()).split("\n").find((one) => one.startsWith(series));
    return line === undefined ? undefined : Number(line.split(" ").at(-1));
  };
  const of = (role: string) => `role="${role}",instance="${role}-1"`;
  assert.equal(await value(`colibri_deployments_total{${of("control")},outcome="done"}`), 1);
  assert.equal(await value(`colibri_deployments_total{${of("control")},outcome="failed"}`), 1);
  assert.equal(await value(`colibri_reports_dropped_total{${of("control")},reporter="gateway-1"}`), 0);
  await until(
    "the agent tells of one ready sandbox",
    async () => (await value(`colibri_agent_sandboxes{${of("agent")},state="ready"}`)) === 1,
  );
  assert.ok((await value(`colibri_bundle_cache_bytes{${of("agent")}}`))! > 0);
  assert.ok((await value(`colibri_sandbox_start_seconds_sum{${of("agent")},runtime="nodejs"}`))! > 0.001);
});
