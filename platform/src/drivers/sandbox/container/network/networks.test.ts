import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
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
  openInside,
  openProbe,
  PORTS,
  type Probe,
  whyNotHere,
} from "./fake-internet.fixture.ts";
import { createSandboxNetworks, type SandboxNetworks, type TakenNetwork } from "./networks.ts";

const skip = whyNotHere();
const [PORT, OTHER_PORT] = PORTS as [number, number];
const METADATA = "169.254.169.254";
/** Nothing came back, or a refusal did. */
const SHUT = ["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "EACCES", "timeout"];

describe("networks of sandboxes", { skip, timeout: 120_000 }, () => {
  const home = newHome();
  const folder = mkdtempSync(join(tmpdir(), "colibri-networks-"));
  let internet: FakeInternet;
  let networks: SandboxNetworks;

  before(async () => {
    await enterMountTable();
    internet = await openFakeInternet();
    networks = createSandboxNetworks(
      { clock: createSystemClock(), random: createSystemRandom(), log: createSilentLog() },
      { home, folder, poolSize: 2, nameservers: internet.nameservers, maximumConnections: 40 },
    );
    await networks.open(new AbortController().signal);
  });

  after(async () => {
    await networks?.close();
    await internet?.close();
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(hostState(home), NOTHING);
  });

  /** A network under a policy, and somebody in it. */
  async function sandbox(t: TestContext, policy?: NetworkPolicy): Promise<{ network: TakenNetwork; probe: Probe }> {
    const network = await networks.take();
    openInside(network);
    if (policy !== undefined) await network.apply(policy);
    const probe = openProbe(network.path);
    t.after(async () => {
      await probe.close();
      await network.release();
    });
    return { network, probe };
  }

  async function assertShut(probe: Probe, host: string, port: number): Promise<void> {
    const result = await probe.run({ kind: "tcp", host, port });
    assert.ok(SHUT.includes(result), `${host}:${port} answered: ${result}`);
  }

  const fromHost = (host: string, port: number) => {
    const probe = openProbe("/proc/self/ns/net");
    return probe.run({ kind: "tcp", host, port }).finally(() => probe.close());
  };

  test("a new network reaches the internet, under the host's address, and names resolve by UDP and by TCP", async (t) => {
    const { network, probe } = await sandbox(t);
    const seen = await probe.run({ kind: "tcp", host: internet.address, port: PORT });
    assert.match(seen, /^from /);
    assert.ok(!seen.includes(network.address), seen);
    assert.equal(await probe.run({ kind: "names", host: "web.example.test" }), internet.address);
    assert.equal(await probe.run({ kind: "names", host: "missing.example.test" }), "ENOTFOUND");
    assert.equal(await probe.run({ kind: "names", host: "big.example.test" }), internet.address);
    assert.equal(await probe.run({ kind: "tcpNames", host: "web.example.test" }), internet.address);
  });

  test("none reaches nothing, and knows no name", async (t) => {
    const { probe } = await sandbox(t, { kind: "none" });
    await assertShut(probe, internet.address, PORT);
    assert.equal(await probe.run({ kind: "names", host: "web.example.test" }), "EREFUSED");
  });

  test("a policy ends the connections that an earlier one allowed", async (t) => {
    const { network, probe } = await sandbox(t);
    assert.match(await probe.run({ kind: "hold", host: internet.address, port: PORT }), /^from /);
    assert.equal(await probe.run({ kind: "say", text: "still" }), "still");
    await network.apply({ kind: "none" });
    assert.notEqual(await probe.run({ kind: "say", text: "more" }), "more");
  });

  test("an allow-list opens an address, a range, a port, and nothing beside it", async (t) => {
    const { network, probe } = await sandbox(t, { kind: "allow", hosts: [internet.address] });
    assert.match(await probe.run({ kind: "tcp", host: internet.address, port: PORT }), /^from /);
    await network.apply({ kind: "allow", hosts: [`${internet.address}:${PORT}`] });
    assert.match(await probe.run({ kind: "tcp", host: internet.address, port: PORT }), /^from /);
    await assertShut(probe, internet.address, OTHER_PORT);
    await network.apply({ kind: "allow", hosts: [internet.range] });
    assert.match(await probe.run({ kind: "tcp", host: internet.address, port: OTHER_PORT }), /^from /);
    await network.apply({ kind: "allow", hosts: ["198.51.100.0/24", `${internet.range}:1`, `${internet.address}:2`] });
    await assertShut(probe, internet.address, PORT);
    await network.apply({ kind: "allow", hosts: [] });
    await assertShut(probe, internet.address, PORT);
  });

  test("an allow-list by name opens what the name is found to be, at its port, once it was asked", async (t) => {
    const hosts = [`web.example.test:${PORT}`, "*.wild.example.test"];
    const { probe } = await sandbox(t, { kind: "allow", hosts });
    await assertShut(probe, internet.address, PORT);
    assert.equal(await probe.run({ kind: "names", host: "big.example.test" }), "EREFUSED");
    assert.equal(await probe.run({ kind: "names", host: "wild.example.test" }), "EREFUSED");
    assert.equal(await probe.run({ kind: "names", host: "WEB.example.test" }), internet.address);
    assert.match(await probe.run({ kind: "tcp", host: internet.address, port: PORT }), /^from /);
    await assertShut(probe, internet.address, OTHER_PORT);
    assert.equal(await probe.run({ kind: "names", host: "a.wild.example.test" }), internet.address);
    assert.match(await probe.run({ kind: "tcp", host: internet.address, port: OTHER_PORT }), /^from /);
  });

  test("a connection to a name outlives the name's time, and ends with the policy", async (t) => {
    const { network, probe } = await sandbox(t, { kind: "allow", hosts: ["short.example.test"] });
    assert.equal(await probe.run({ kind: "names", host: "short.example.test" }), internet.address);
    assert.match(await probe.run({ kind: "hold", host: internet.address, port: PORT }), /^from /);
    // As if its time had run out.
    nft(`flush set inet colibri_${home} named_any`);
    assert.equal(await probe.run({ kind: "say", text: "on" }), "on");
    await assertShut(probe, internet.address, PORT);
    await network.apply({ kind: "allow", hosts: ["web.example.test"] });
    assert.notEqual(await probe.run({ kind: "say", text: "more" }), "more");
  });

  test("the host is shut: loopback, its addresses, and the nameserver's other ports", async (t) => {
    const server = createServer((socket) => socket.end("host\n"));
    await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
    t.after(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as { port: number };
    const addresses = Object.values(networkInterfaces()).flatMap((rows) => rows ?? []);
    const own = addresses.filter(({ family }) => family === "IPv4").map(({ address }) => address);
    assert.ok(own.length > 1);
    for (const policy of [undefined, { kind: "allow", hosts: ["0.0.0.0/0"] } as const]) {
      const { network, probe } = await sandbox(t, policy);
      assert.match(await probe.run({ kind: "tcp", host: internet.address, port: PORT }), /^from /);
      for (const address of own) {
        assert.equal(await fromHost(address, port), "host");
        await assertShut(probe, address, port);
      }
      await assertShut(probe, network.nameserver, port);
    }
  });

  test("metadata and private ranges are shut, also by a name that leads there", async (t) => {
    for (const policy of [undefined, { kind: "allow", hosts: ["0.0.0.0/0", "*.example.test"] } as const]) {
      const { probe } = await sandbox(t, policy);
      for (const address of [METADATA, internet.privateAddress]) {
        assert.match(await fromHost(address, PORT), /^from /);
        await assertShut(probe, address, PORT);
      }
      assert.equal(await probe.run({ kind: "names", host: "rebound.example.test" }), internet.privateAddress);
      await assertShut(probe, internet.privateAddress, PORT);
    }
  });

  test("a sandbox reaches no other", async (t) => {
    const [one, other] = [await sandbox(t), await sandbox(t, { kind: "allow", hosts: ["0.0.0.0/0"] })];
    await one.probe.run({ kind: "listen", port: 7_000 });
    assert.equal(await one.probe.run({ kind: "tcp", host: one.network.address, port: 7_000 }), "neighbour");
    await assertShut(other.probe, one.network.address, 7_000);
  });

  test("nobody outside reaches a sandbox", async (t) => {
    const { network, probe } = await sandbox(t);
    await probe.run({ kind: "listen", port: 7_000 });
    const outside = openProbe(`/run/netns/fake-${internet.link.slice(2)}`);
    t.after(() => outside.close());
    await assertShut(outside, network.address, 7_000);
  });

  test("a borrowed source address gets nowhere, a neighbour's with more rights neither", async (t) => {
    const [bound, free] = [await sandbox(t, { kind: "none" }), await sandbox(t)];
    for (const from of [free.network.address, "203.0.113.250"]) {
      ip(`-n ${bound.network.name} address add ${from}/32 dev eth0`);
      const result = await bound.probe.run({ kind: "tcp", host: internet.address, port: PORT, from });
      assert.ok(SHUT.includes(result), `${from} answered: ${result}`);
    }
    assert.match(await free.probe.run({ kind: "tcp", host: internet.address, port: PORT }), /^from /);
  });

  test("a flood of questions is bounded, and a neighbour is answered meanwhile", async (t) => {
    const [flooder, neighbour] = [await sandbox(t), await sandbox(t)];
    const flood = flooder.probe.run({ kind: "flood", host: "example.test", count: 150 });
    const answer = await neighbour.probe.run({ kind: "names", host: "web.example.test" });
    assert.equal(answer, internet.address);
    const codes = JSON.parse(await flood) as Record<string, string[]>;
    assert.equal(codes.ESERVFAIL?.length, 150 - 64);
    assert.match(await neighbour.probe.run({ kind: "hold", host: internet.address, port: PORT }), /^from /);
    assert.ok(Number(await neighbour.probe.run({ kind: "say", text: "peak" })) <= 65);
  });

  test("questions of names take no place in the host's table of connections, nor do those asked around", async (t) => {
    const { network, probe } = await sandbox(t);
    const question = "123401000001000000000000017804746573740000010001";
    const ask = { kind: "datagram", host: network.nameserver, port: 53, text: question };
    for (let count = 0; count < 50; count++) await probe.run(ask);
    assert.equal(await probe.run({ kind: "names", host: "web.example.test" }), internet.address);
    assert.equal(await probe.run({ kind: "tcpNames", host: "web.example.test" }), internet.address);
    const rules = tableText(home);
    const [, forwarder, udpPort] = /ip daddr set ([\d.]+) udp dport set (\d+)/.exec(rules)!;
    const [, tcpPort] = /tcp dport set (\d+)/.exec(rules)!;
    await probe.run({ ...ask, host: forwarder!, port: Number(udpPort) });
    await assertShut(probe, forwarder!, Number(tcpPort));
    const tracked = readFileSync("/proc/net/nf_conntrack", "utf8").split("\n");
    assert.deepEqual(
      tracked.filter((line) => line.includes(`src=${network.address} `)),
      [],
    );
  });

  test("malformed questions are survived", async (t) => {
    const { network, probe } = await sandbox(t);
    for (const text of [
      "00",
      "ff".repeat(600),
      "000001000001000000000000ff",
      `000001000001000000000000${"3f".repeat(200)}`,
    ]) {
      await probe.run({ kind: "datagram", host: network.nameserver, port: 53, text });
    }
    assert.equal(await probe.run({ kind: "names", host: "web.example.test" }), internet.address);
  });

  test("open connections are bounded per sandbox", async (t) => {
    const [greedy, neighbour] = [await sandbox(t), await sandbox(t)];
    const target = { kind: "hold", host: internet.address, port: PORT };
    const results = await Promise.all(Array.from({ length: 60 }, () => greedy.probe.run(target)));
    const opened = results.filter((result) => result.startsWith("from ")).length;
    assert.ok(opened > 30 && opened <= 41, `${opened} were opened`);
    assert.match(await neighbour.probe.run(target), /^from /);
  });

  test("there is no IPv6 but the sandbox's own loopback", async (t) => {
    const { network } = await sandbox(t);
    const lines = ip(`-n ${network.name} -6 -o address`).trim().split("\n");
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, / lo .*::1/);
    assert.doesNotMatch(ip(`-n ${network.name} -6 route`), /eth0/);
  });

  test("what can't be allowed is refused with its name, and the policy stays", async (t) => {
    const { network, probe } = await sandbox(t);
    for (const host of ["10.0.0.5:5432", "example..com", "1.2.3", "example.com:0", "203.0.113.1/24", ""]) {
      const refusal = { code: "config-invalid", message: new RegExp(`"${host.replaceAll(".", "\\.")}"`) };
      await assert.rejects(network.apply({ kind: "allow", hosts: [host] }), refusal);
    }
    assert.match(await probe.run({ kind: "tcp", host: internet.address, port: PORT }), /^from /);
  });

  test("of a released network nothing is left", async () => {
    const network = await networks.take();
    await network.apply({ kind: "allow", hosts: ["web.example.test", internet.address, `${internet.range}:${PORT}`] });
    const probe = openProbe(network.path);
    await probe.run({ kind: "names", host: "web.example.test" });
    await probe.close();
    assert.ok(hostState(network.name).namespaces !== "");
    assert.ok(tableText(home).includes(network.address));
    await network.release();
    assert.deepEqual(hostState(network.name), NOTHING);
    assert.deepEqual(hostState(`${network.address} `).routes, "");
    assert.ok(!tableText(home).includes(network.address));
    await assert.rejects(async () => network.apply({ kind: "none" }), /released/);
    assert.equal(await networks.recover(network.name), undefined);
  });

  test("a hundred taken and released leave what was there before", async () => {
    const before = readFileSync("/proc/net/dev", "utf8").split("\n").length;
    const taken = await Promise.all(Array.from({ length: 100 }, () => networks.take()));
    assert.equal(new Set(taken.map(({ address }) => address)).size, 100);
    await Promise.all(taken.map((network) => network.release()));
    const table = tableText(home);
    for (const network of taken) assert.ok(!table.includes(`${network.address} `), network.name);
    // The pool may be two fuller or emptier than it was.
    assert.ok(readFileSync("/proc/net/dev", "utf8").split("\n").length <= before + 2);
  });
});

function tableText(home: string): string {
  return nft(`list table inet colibri_${home}`);
}
