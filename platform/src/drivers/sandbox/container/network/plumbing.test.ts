import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { formatAddress } from "#contract/network/ipv4.ts";
import {
  enterMountTable,
  type FakeInternet,
  hostState,
  ip,
  NOTHING,
  newHome,
  openFakeInternet,
  openProbe,
  PORTS,
  whyNotHere,
} from "./fake-internet.fixture.ts";
import { chooseBlock, setForwarding } from "./host.ts";
import { createNames } from "./names.ts";
import { findTools } from "./parts.ts";
import { createPlumbing, type Plumbing } from "./plumbing.ts";

const PORT = PORTS[0]!;
const NUMBER = 7;
/** Sends by an interface that it names: TCP by SO_BINDTODEVICE, UDP by IP_PKTINFO. What comes back within a second. */
const BOUND = `
import socket, struct, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    if kind == "tcp":
        sender = socket.socket()
        sender.setsockopt(socket.SOL_SOCKET, 25, b"eth0")
        sender.settimeout(1)
        sender.connect((host, port))
    else:
        sender = socket.socket(type=socket.SOCK_DGRAM)
        sender.settimeout(1)
        info = struct.pack("=i4s4s", socket.if_nametoindex("eth0"), bytes(4), bytes(4))
        sender.sendmsg([b"question"], [(socket.IPPROTO_IP, 8, info)], 0, (host, port))
    print(sender.recv(100).decode().strip())
except OSError as error:
    print("nothing:", error)
`;

describe("a sandbox's network without the host's table", { skip: whyNotHere(), timeout: 60_000 }, () => {
  const home = newHome();
  const names = createNames(home);
  const name = `${names.namespacePrefix}${NUMBER}`;
  const path = `/run/netns/${name}`;
  let internet: FakeInternet;
  let plumbing: Plumbing;

  before(async () => {
    await enterMountTable();
    internet = await openFakeInternet();
    const tools = await findTools();
    plumbing = createPlumbing(tools, names);
    const address = formatAddress((await chooseBlock(tools, names, home)) + NUMBER);
    await plumbing.make([{ number: NUMBER, address }], 1_500);
    await setForwarding(internet.link, true);
  });

  after(async () => {
    await plumbing?.remove([NUMBER]);
    await internet?.close();
    assert.deepEqual(hostState(home), NOTHING);
  });

  const bound = async (kind: "tcp" | "udp", host: string, port: number) => {
    const { stdout } = await promisify(execFile)(
      "nsenter",
      [`--net=${path}`, "python3", "-c", BOUND, kind, host, `${port}`],
      { timeout: 5_000 },
    );
    return stdout.trim();
  };

  test("who names the interface reaches no address of the host's and no private one, and the internet as ever", async (t) => {
    const server = createServer((socket) => socket.end("host\n")).listen(0, "0.0.0.0");
    const echo = createSocket("udp4").bind(0, "0.0.0.0");
    await Promise.all([once(server, "listening"), once(echo, "listening")]);
    echo.on("message", (_question, from) => echo.send("host", from.port, from.address));
    t.after(() => Promise.all([new Promise((resolve) => server.close(resolve)), echo.close()]));
    const { port } = server.address() as { port: number };

    const own = [...ip("-4 -o address").matchAll(/ inet ([\d.]+)/g)].map(([, address]) => address!);
    const addresses = own.filter((address) => !address.startsWith("127."));
    assert.ok(addresses.some((address) => address.startsWith("203.0.113.")));
    const attempts: Parameters<typeof bound>[] = [
      ...addresses.map((address): Parameters<typeof bound> => ["tcp", address, port]),
      ...addresses.map((address): Parameters<typeof bound> => ["udp", address, echo.address().port]),
      ["tcp", internet.privateAddress, PORT],
      ["tcp", "169.254.169.254", PORT],
    ];
    const results = await Promise.all(attempts.map((attempt) => bound(...attempt)));
    const reached = attempts.filter((_attempt, index) => !results[index]!.startsWith("nothing: "));
    assert.deepEqual(reached, []);
    assert.match(await bound("tcp", internet.address, PORT), /^from /);
  });

  test("its own loopback and address serve as ever, and routes tell at once what is shut", async (t) => {
    const probe = openProbe(path);
    t.after(() => probe.close());
    await probe.run({ kind: "listen", port: 7_000 });
    const own = ip(`-n ${name} -4 -o address show dev eth0`).match(/ inet ([\d.]+)/)![1]!;
    for (const host of ["127.0.0.1", own]) {
      assert.equal(await probe.run({ kind: "tcp", host, port: 7_000 }), "neighbour");
    }
    assert.equal(await probe.run({ kind: "tcp", host: internet.privateAddress, port: PORT }), "EACCES");
  });
});
