/**
 * The nft table of a platform home, as text. One set of rules for all sandboxes; what differs between them is in maps and sets.
 *
 *   sandbox ─▶ spoofed (source must be routed back to where it came from)
 *           ├▶ to_host:       questions of names, turned to our forwarder, at a bounded rate; nothing else
 *           └▶ from_sandbox:  not to another sandbox, not to denied ranges, then by policy: none | internet | allow
 *   world   ─▶ to_sandbox:    answers only
 *
 * Questions and their answers are turned packet by packet, untracked: the host's table of connections is no sandbox's to fill with
 * names, and no packet is lost where two of one socket would become one connection.
 *
 * An accepted packet may still be dropped by another table: our `accept` ends only our own chains.
 *
 * Allow-lists by name: an address is open for as long as its name's answer lives, and connections made meanwhile go on after
 * that. They are known by a mark that is drawn anew with every policy, so that no later sandbox inherits them.
 */
import { DENIED } from "#contract/network/ipv4.ts";
import type { Names } from "./names.ts";

export interface TableOptions {
  readonly names: Names;
  /** What sandboxes' addresses are taken from, as CIDR. */
  readonly block: string;
  /** Where the forwarder of names listens. */
  readonly forwarder: { readonly address: string; readonly udpPort: number; readonly tcpPort: number };
  readonly maximumConnections: number;
}

/** What a sandbox's resolv.conf names. No interface has it: packets to it are turned towards the forwarder. */
export const NAMESERVER = "169.254.1.1";

/** Packets with questions a second, and in a burst, that one sandbox may send to the forwarder. */
const QUESTION_RATE = 200;
const QUESTION_BURST = 400;

/** Elements are kept when a new agent writes the table anew: change a definition and its name. */
const SETS: Readonly<Record<string, string>> = Object.freeze({
  denied: "type ipv4_addr; flags interval;",
  uplinks: "type ifname;",
  live: "type ipv4_addr . mark;",
  fixed_any: "type ipv4_addr . ipv4_addr; flags interval;",
  fixed_port: "type ipv4_addr . ipv4_addr . inet_service; flags interval;",
  named_any: "type ipv4_addr . ipv4_addr; flags timeout;",
  named_port: "type ipv4_addr . ipv4_addr . inet_service; flags timeout;",
  connections: "type ipv4_addr; flags dynamic; size 65536;",
  questions: "type ipv4_addr; flags dynamic,timeout; timeout 1m; size 65536;",
});

const MAPS: Readonly<Record<string, string>> = Object.freeze({
  networks: "type ifname . ipv4_addr : verdict;",
  marks: "type ipv4_addr : mark;",
});

interface Chain {
  readonly hook?: string;
  readonly rules: readonly string[];
}

/** One transaction: makes the table or writes its rules anew, and keeps all elements. */
export function tableScript(options: TableOptions): string {
  const table = options.names.table;
  const chains = Object.entries(chainsOf(options));
  return [
    `add table ${table}`,
    ...Object.entries(SETS).map(([name, definition]) => `add set ${table} ${name} { ${definition} }`),
    ...Object.entries(MAPS).map(([name, definition]) => `add map ${table} ${name} { ${definition} }`),
    `add element ${table} denied { ${DENIED.join(", ")} }`,
    ...chains.map(([name, { hook }]) => `add chain ${table} ${name}${hook === undefined ? "" : ` { ${hook} }`}`),
    ...chains.map(([name]) => `flush chain ${table} ${name}`),
    ...chains.flatMap(([name, { rules }]) => rules.map((rule) => `add rule ${table} ${name} ${rule}`)),
    "",
  ].join("\n");
}

function chainsOf(options: TableOptions): Record<string, Chain> {
  const ours = `"${options.names.linkPrefix}*"`;
  const { address } = options.forwarder;
  return {
    ...policyChains(options),
    refuse: { rules: ["meta l4proto tcp reject with tcp reset", "reject with icmp type admin-prohibited"] },
    from_sandbox: {
      rules: [
        `oifname ${ours} goto refuse`,
        "ip daddr @denied goto refuse",
        "iifname . ip saddr vmap @networks",
        "drop",
      ],
    },
    to_sandbox: { rules: ["ct state established,related accept", "drop"] },
    to_host: { rules: toHost(options) },
    spoofed: {
      hook: "type filter hook prerouting priority raw; policy accept;",
      rules: [`iifname ${ours} meta nfproto ipv6 drop`, `iifname ${ours} fib saddr . iif oif missing drop`],
    },
    // After what is spoofed was dropped, and before connections are tracked.
    to_forwarder: {
      hook: "type filter hook prerouting priority raw + 10; policy accept;",
      rules: toForwarder(options, ours),
    },
    from_forwarder: {
      hook: "type filter hook output priority raw; policy accept;",
      rules: fromForwarder(options, ours),
    },
    input: {
      hook: "type filter hook input priority filter; policy accept;",
      rules: [`iifname ${ours} goto to_host`, `iifname != "lo" ip daddr ${address} drop`],
    },
    forward: {
      hook: "type filter hook forward priority filter; policy accept;",
      rules: [
        `iifname ${ours} goto from_sandbox`,
        `oifname ${ours} goto to_sandbox`,
        // Where we had to switch forwarding on, the host must not become a router for its neighbours.
        "iifname @uplinks ct state new ct status and dnat == 0 drop",
      ],
    },
    outbound: {
      hook: "type nat hook postrouting priority srcnat; policy accept;",
      rules: [`ip saddr ${options.block} oifname != ${ours} masquerade`],
    },
  };
}

function policyChains({ maximumConnections }: TableOptions): Record<string, Chain> {
  return {
    none: { rules: ["goto refuse"] },
    internet: {
      rules: [`ct state new add @connections { ip saddr ct count over ${maximumConnections} } goto refuse`, "accept"],
    },
    allow: {
      rules: [
        "ip saddr . ip daddr @fixed_any goto internet",
        "meta l4proto { tcp, udp } ip saddr . ip daddr . th dport @fixed_port goto internet",
        "ct state established ip saddr . ct mark @live accept",
        "ip saddr . ip daddr @named_any goto opened",
        "meta l4proto { tcp, udp } ip saddr . ip daddr . th dport @named_port goto opened",
        "goto refuse",
      ],
    },
    opened: { rules: ["ct mark set ip saddr map @marks", "goto internet"] },
  };
}

function toHost({ forwarder: { address, udpPort, tcpPort } }: TableOptions): string[] {
  return [
    // Whoever asks the forwarder by its own address would be tracked.
    "ct state != untracked goto refuse",
    `ip daddr ${address} update @questions { ip saddr limit rate over ${QUESTION_RATE}/second burst ${QUESTION_BURST} packets } drop`,
    `ip daddr ${address} udp dport ${udpPort} accept`,
    `ip daddr ${address} tcp dport ${tcpPort} accept`,
    "goto refuse",
  ];
}

function toForwarder({ forwarder: { address, udpPort, tcpPort } }: TableOptions, ours: string): string[] {
  const asked = `iifname ${ours} ip daddr ${NAMESERVER}`;
  return [
    `${asked} udp dport 53 notrack ip daddr set ${address} udp dport set ${udpPort}`,
    `${asked} tcp dport 53 notrack ip daddr set ${address} tcp dport set ${tcpPort}`,
  ];
}

function fromForwarder({ forwarder: { address, udpPort, tcpPort } }: TableOptions, ours: string): string[] {
  const answered = `oifname ${ours} ip saddr ${address}`;
  return [
    `${answered} udp sport ${udpPort} notrack ip saddr set ${NAMESERVER} udp sport set 53`,
    `${answered} tcp sport ${tcpPort} notrack ip saddr set ${NAMESERVER} tcp sport set 53`,
  ];
}
