// What an app's sandboxes may reach: set in colibri.yaml, held to on the next connection, and not run where nobody can hold to it.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { node, Place, type Platform, signal, startPlatform, until } from "./platform.ts";
import { roleOf } from "./processes.ts";

// Of TEST-NET-3: whoever is let through finds nobody there, which is not to be refused.
const LISTED = "203.0.113.7";
const OTHER = "203.0.113.8";
const DIALS = `
import { connect } from "node:net";
const me = crypto.randomUUID();
export default ({ host }) => new Promise((resolve) => {
  const socket = connect({ host, port: 443, timeout: 1000 });
  const end = (outcome) => (socket.destroy(), resolve({ me, outcome }));
  socket.on("connect", () => end("connected"));
  socket.on("timeout", () => end("silence"));
  socket.on("error", ({ code }) => end(code));
});
`;

let platform: Platform;

async function deploy(network: unknown): Promise<string> {
  const folder = platform.writeApp("app", { dials: node(DIALS) });
  const path = join(folder, "colibri.yaml");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), network }));
  const { code, out, err } = await platform.colibri("deploy", folder);
  assert.equal(code, 0, out + err);
  return err;
}

async function dial(host: string): Promise<{ me: string; outcome: string }> {
  const body = JSON.stringify({ host });
  const answer = await platform.call("app/dials", {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  assert.equal(answer.status, 200, answer.text);
  return answer.json as { me: string; outcome: string };
}

async function technology(): Promise<string> {
  const { json } = await platform.api("/v1/health");
  return (json as { sandbox: { technology: string } }).sandbox.technology;
}

describe("with the sandboxes that are chosen here", () => {
  before(async () => {
    platform = await startPlatform();
  });
  after(() => platform?.close());

  test("a policy holds from the first connection on, changes under a sandbox that runs, and outlives the agent", async (t) => {
    if ((await technology()) === "process")
      return t.skip("sandboxes are processes here: nothing holds them to a policy");
    await deploy("none");
    const first = await dial(LISTED);
    assert.equal(first.outcome, "ECONNREFUSED");

    await deploy({ allow: [`${LISTED}:443`] });
    await until("the new policy", async () => (await dial(LISTED)).outcome !== "ECONNREFUSED");
    assert.deepEqual(await dial(OTHER), { me: first.me, outcome: "ECONNREFUSED" });

    const killed = platform.pidOf("agent");
    signal(killed, "SIGKILL");
    assert.deepEqual(await dial(OTHER), { me: first.me, outcome: "ECONNREFUSED" });
    await until("another agent", () => (roleOf(platform.home, "agent")?.pid ?? killed) !== killed);
    assert.deepEqual(await dial(OTHER), { me: first.me, outcome: "ECONNREFUSED" });

    await deploy("none");
    await until("the last policy", async () => (await dial(LISTED)).outcome === "ECONNREFUSED");
    assert.equal((await dial(LISTED)).me, first.me);
  });
});

describe("with plain processes", () => {
  before(async () => {
    platform = await startPlatform(new Place({ COLIBRI_SANDBOX: "process" }));
  });
  after(() => platform?.close());

  test("an app that asks for walls is not run without, and whoever deploys it is warned", async () => {
    assert.match(await deploy("none"), /warning: network: process sandboxes can't be kept to it/);
    const refused = await platform.call("app/dials");
    assert.deepEqual([refused.status, refused.headers["colibri-error-code"]], [501, "network-unenforced"]);
    assert.match(String(refused.headers["colibri-error-message"]), /network in colibri\.yaml is "none"/);
    await deploy("internet");
    await until("an answer", async () => (await platform.call("app/dials")).status !== 501);
  });
});
