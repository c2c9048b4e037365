/**
 * The nft table inside a sandbox's own namespace: what is shut to all sandboxes is shut there too, where nobody who flushes the
 * host's rules reaches it, and nobody inside may. Routes alone don't hold: Linux sends by an interface that the sender names
 * (SO_BINDTODEVICE, IP_PKTINFO) whatever they prohibit.
 *
 * It keeps no connections: what comes in is the host's table's business, and answers alone do.
 */
import { NAMESERVER } from "./table.ts";

/** @param shut ranges and addresses, none overlapping another */
export function innerTableScript(shut: readonly string[]): string {
  const table = "inet colibri";
  return [
    `add table ${table}`,
    `add set ${table} shut { type ipv4_addr; flags interval; elements = { ${shut.join(", ")} }; }`,
    `add chain ${table} output { type filter hook output priority filter; policy accept; }`,
    ...[
      'oifname "lo" accept',
      "meta nfproto ipv6 drop",
      `ip daddr ${NAMESERVER} meta l4proto { tcp, udp } th dport 53 accept`,
      "ip daddr @shut drop",
    ].map((rule) => `add rule ${table} output ${rule}`),
    "",
  ].join("\n");
}
