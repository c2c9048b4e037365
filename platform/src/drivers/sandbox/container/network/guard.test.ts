import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog, type Log } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import {
  enterMountTable,
  type FakeInternet,
  hostState,
  ip,
  NOTHING,
  newHome,
  nft,
  openFakeInternet,
  openProbe,
  PORTS,
  type Probe,
  whyNotHere,
} from "./fake-internet.fixture.ts";
import { createSandboxNetworks, type SandboxNetworks, type TakenNetwork } from "./networks.ts";

const PORT = PORTS[0]!;

describe("the table of sandboxes' networks, removed by somebody", { skip: whyNotHere(), timeout: 30_000 }, () => {
  const home = newHome();
  const table = `inet colibri_${home}`;
  const folder = mkdtempSync(join(tmpdir(), "colibri-guard-"));
  let internet: FakeInternet;
  let networks: SandboxNetworks;
  let onWarning: (message: string) => void = () => {};

  before(async () => {
    await enterMountTable();
    internet = await openFakeInternet();
    const log: Log = { ...createSilentLog(), warn: (message) => onWarning(message) };
    networks = createSandboxNetworks(
      { clock: createSystemClock(), random: createSystemRandom(), log },
      { home, folder, poolSize: 0, nameservers: internet.nameservers },
    );
    await networks.open(new AbortController().signal);
  });

  after(async () => {
    await networks?.close();
    await internet?.close();
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(hostState(home), NOTHING);
  });

  async function sandbox(t: TestContext, policy?: NetworkPolicy): Promise<{ network: TakenNetwork; probe: Probe }> {
    const network = await networks.take();
    if (policy !== undefined) await network.apply(policy);
    const probe = openProbe(network.path);
    t.after(async () => {
      await probe.close();
      await network.release();
    });
    return { network, probe };
  }

  function restored(): Promise<string> {
    return new Promise((resolve) => {
      onWarning = resolve;
    });
  }

  const tcp = (host: string) => ({ kind: "tcp", host, port: PORT });

  test("it comes back by itself with every network's policy, and what a name opened stays open", async (t) => {
    const [free, none, allowed] = [
      await sandbox(t),
      await sandbox(t, { kind: "none" }),
      await sandbox(t, { kind: "allow", hosts: [`web.example.test:${PORT}`, "198.51.100.0/24"] }),
    ];
    assert.equal(await allowed.probe.run({ kind: "names", host: "web.example.test" }), internet.address);
    assert.match(await allowed.probe.run({ ...tcp(internet.address), kind: "hold" }), /^from /);
    const before = withoutCounts(nft(`list table ${table}`));
    const back = restored();
    nft(`delete table ${table}`);
    assert.match(await back, /nft flush ruleset/);
    assert.equal(withoutCounts(nft(`list table ${table}`)), before);
    assert.match(await free.probe.run(tcp(internet.address)), /^from /);
    assert.match(await allowed.probe.run(tcp(internet.address)), /^from /);
    assert.equal(await allowed.probe.run({ kind: "say", text: "still" }), "still");
    assert.doesNotMatch(await none.probe.run(tcp(internet.address)), /^from /);
  });

  test("one of that name out of a saved rule set is replaced", async (t) => {
    const { network, probe } = await sandbox(t);
    const link = network.name.replace("colibri-", "cb");
    const back = restored();
    nft(`delete table ${table} ; add table ${table} ;
      add map ${table} networks { type ifname . ipv4_addr : verdict ; } ;
      add element ${table} networks { "${link}" . ${network.address} : drop }`);
    await back;
    assert.match(await probe.run(tcp(internet.address)), /^from /);
  });

  test("changes, new networks and releases go on where they meet the table gone", async (t) => {
    const { network, probe } = await sandbox(t, { kind: "allow", hosts: [internet.address] });
    nft(`delete table ${table}`);
    await network.apply({ kind: "none" });
    assert.doesNotMatch(await probe.run(tcp(internet.address)), /^from /);
    const [short, listed] = [await networks.take(), await networks.take()];
    await listed.apply({ kind: "allow", hosts: [internet.address] });
    nft(`delete table ${table}`);
    await Promise.all([short.release(), listed.release(), network.apply({ kind: "internet" })]);
    assert.match(await probe.run(tcp(internet.address)), /^from /);
    for (const { address } of [short, listed]) assert.ok(!nft(`list table ${table}`).includes(`${address} `), address);
  });

  test("without it, the namespace's own routes lead to no private range and to no address of the host's", async (t) => {
    const { network } = await sandbox(t);
    const own = ip("-4 -o address").matchAll(/ inet ([\d.]+)/g);
    const addresses = [...own].map(([, address]) => address!).filter((address) => !address.startsWith("127."));
    assert.ok(addresses.length > 1);
    for (const address of [...addresses, "10.1.2.3", "169.254.169.254", "192.168.1.1", "100.100.100.200"]) {
      // On one line, whichever way ip tells it.
      assert.throws(() => ip(`-n ${network.name} route get ${address}`), /Permission denied|prohibit/, address);
    }
    assert.match(ip(`-n ${network.name} route get ${network.nameserver}`), /dev eth0/);
    assert.match(ip(`-n ${network.name} route get ${internet.address}`), /dev eth0/);
  });

  test("of a released network's connections the kernel knows none, of a neighbour's all", async (t) => {
    const neighbour = await sandbox(t);
    const network = await networks.take();
    const probe = openProbe(network.path);
    const hold = { ...tcp(internet.address), kind: "hold" };
    for (const one of [probe, neighbour.probe]) assert.match(await one.run(hold), /^from /);
    const connections = (of: TakenNetwork) =>
      readFileSync("/proc/net/nf_conntrack", "utf8").includes(`src=${of.address} `);
    assert.ok(connections(network));
    await probe.close();
    await network.release();
    assert.ok(!connections(network));
    assert.ok(connections(neighbour.network));
  });
});

/** What passes with time, or with a packet. */
function withoutCounts(text: string): string {
  return text.replace(/ expires \S+| timeout \S+/g, "").replace(/\tset (connections|questions) \{.*?\n\t\}\n/gs, "");
}
