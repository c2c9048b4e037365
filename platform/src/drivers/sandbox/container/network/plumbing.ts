/**
 * Namespaces and interfaces of networks, made and removed many at a time.
 *
 * A network is a namespace, pinned, and a pair of interfaces: `eth0` in it and one on the host, to which a route leads the network's
 * one address. There is no bridge, no neighbour table and no gateway: both ends have the same hardware address and ask for
 * none (`arp off`), so everything that one end sends is for the other.
 *
 * The namespace's own policies (ip-xfrm(8)) shut private ranges and the host's addresses, as the host's table does: nobody inside may
 * change them, and they hold while somebody has removed the host's. Routes alone would not: Linux sends by an interface that the
 * sender names (SO_BINDTODEVICE, IP_PKTINFO) whatever they prohibit. They are there to tell everybody else why.
 */
import { networkInterfaces } from "node:os";
import { DENIED, isDenied, parseRange } from "#contract/network/ipv4.ts";
import { type NetworkTools, run } from "./commands.ts";
import { readRemains, setForwarding } from "./host.ts";
import type { Names } from "./names.ts";
import { NAMESERVER } from "./table.ts";

export interface Plumbing {
  /** Nothing of them is left when it fails. */
  make(networks: readonly PlannedNetwork[], mtu: number): Promise<void>;
  /** Removes whatever there is of these numbers. @throws Error when something stays. */
  remove(numbers: readonly number[]): Promise<void>;
  /** Anew: an earlier agent's goes first. */
  makeForwarderLink(address: string): Promise<void>;
  removeForwarderLink(): Promise<void>;
}

export interface PlannedNetwork {
  readonly number: number;
  readonly address: string;
}

/** Locally administered, of no vendor. */
const HARDWARE_ADDRESS = "ee:00:00:00:00:01";
/** Programs that configure namespaces, at once. */
const PARALLEL = 4;

export function createPlumbing(tools: NetworkTools, names: Names): Plumbing {
  const link = (number: number) => `${names.linkPrefix}${number}`;
  const namespace = (number: number) => `${names.namespacePrefix}${number}`;

  const configureInside = async (networks: readonly PlannedNetwork[]) => {
    const waiting = [...networks];
    const shut = shutInside();
    const lines = [...routesInside(shut), ...policiesInside(shut)];
    const work = async () => {
      for (let network = waiting.pop(); network !== undefined; network = waiting.pop()) {
        await run(tools.ip, ["-n", namespace(network.number), "-batch", "-"], insideScript(network.address, lines));
        await setForwarding(link(network.number), true);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
  };

  const remove = async (numbers: readonly number[]) => {
    const before = await readRemains(names);
    const lines = [
      ...removeLinks(names, numbers.filter((number) => before.links.has(number)).map(link)),
      ...numbers.filter((number) => before.files.has(number)).map((number) => `netns del ${namespace(number)}`),
    ];
    if (lines.length === 0) return;
    // Some may go by themselves meanwhile; what counts is what is left.
    const failure = await run(tools.ip, ["-force", "-batch", "-"], `${lines.join("\n")}\n`).then(
      () => undefined,
      caught,
    );
    const after = await readRemains(names);
    const left = numbers.filter((number) => after.links.has(number) || after.files.has(number));
    if (left.length > 0) throw new Error(`not removed: ${left.map(namespace).join(", ")}`, { cause: failure });
  };

  const removeForwarderLink = async () => {
    const lines = [`link del ${names.forwarderLink}`, `netns del ${names.forwarderNamespace}`];
    // Either may be there alone, or neither.
    await run(tools.ip, ["-force", "-batch", "-"], `${lines.join("\n")}\n`).catch(() => {});
  };

  return {
    async make(networks, mtu) {
      try {
        const lines = networks.flatMap(({ number, address }) => [
          ...pairLines(link(number), namespace(number), mtu),
          `route add ${address}/32 dev ${link(number)}`,
        ]);
        await run(tools.ip, ["-batch", "-"], `${lines.join("\n")}\n`);
        await configureInside(networks);
      } catch (error) {
        await remove(networks.map(({ number }) => number));
        throw error;
      }
    },
    remove,
    async makeForwarderLink(address) {
      await removeForwarderLink();
      const lines = [
        ...pairLines(names.forwarderLink, names.forwarderNamespace, 1_500),
        `address add ${address}/32 dev ${names.forwarderLink}`,
      ];
      await run(tools.ip, ["-batch", "-"], `${lines.join("\n")}\n`);
    },
    removeForwarderLink,
  };
}

/** As a group: the kernel waits for its readers once, not once for each. */
function removeLinks(names: Names, links: readonly string[]): string[] {
  if (links.length === 0) return [];
  return [...links.map((link) => `link set ${link} group ${names.linkGroup}`), `link del group ${names.linkGroup}`];
}

function pairLines(link: string, namespace: string, mtu: number): string[] {
  const end = `mtu ${mtu} arp off address ${HARDWARE_ADDRESS}`;
  return [
    `netns add ${namespace}`,
    `link add ${link} ${end} type veth peer name eth0 ${end} netns ${namespace}`,
    // No IPv6 address of its own making.
    `link set ${link} addrgenmode none`,
    `link set ${link} up`,
  ];
}

/** Private ranges, and the host's addresses beside them. */
function shutInside(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((rows) => rows ?? []);
  const public4 = addresses.flatMap(({ address }) => {
    const range = parseRange(address);
    return range === undefined || isDenied(range) ? [] : [address];
  });
  return [...DENIED, ...new Set(public4)];
}

function routesInside(shut: readonly string[]): string[] {
  return [
    "route add default dev eth0",
    `route add ${NAMESERVER} dev eth0`,
    ...shut.map((range) => `route add prohibit ${range}`),
  ];
}

/** Loopback is exempt from policies. */
function policiesInside(shut: readonly string[]): string[] {
  const policy = (dst: string, then: string) => `xfrm policy add dir out src 0.0.0.0/0 dst ${dst} ${then}`;
  return [
    ...["udp", "tcp"].map((protocol) =>
      policy(`${NAMESERVER}/32`, `proto ${protocol} dport 53 action allow priority 1`),
    ),
    ...shut.map((range) => policy(range.includes("/") ? range : `${range}/32`, "action block priority 2")),
  ];
}

function insideScript(address: string, lines: readonly string[]): string {
  return [
    "link set lo up",
    "link set eth0 addrgenmode none",
    `address add ${address}/32 dev eth0`,
    "link set eth0 up",
    ...lines,
    "",
  ].join("\n");
}

const caught = (error: unknown) => error;
