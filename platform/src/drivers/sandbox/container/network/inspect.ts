/** What this machine lacks for networks of sandboxes, found without changing anything. */
import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { findTool, run, SEARCH_PATH } from "./commands.ts";
import { createNames } from "./names.ts";
import { parseNameservers } from "./nameservers.ts";
import { tableScript } from "./table.ts";

export interface NetworkLack {
  /** `missing`: networks can't be made. `doubtful`: they can, and sandboxes may not reach what they should. */
  readonly kind: "missing" | "doubtful";
  readonly what: string;
  readonly remedy: string;
}

/** Bits in CapEff: CAP_NET_ADMIN and CAP_SYS_ADMIN. */
const CAPABILITIES = (1n << 12n) | (1n << 21n);
const SWITCHES = "/proc/sys/net/ipv4/ip_forward";

/** Empty when all is there. */
export async function inspectNetwork(
  options: { readonly searchPath?: readonly string[] } = {},
): Promise<NetworkLack[]> {
  const searchPath = options.searchPath ?? SEARCH_PATH;
  const [ip, nft] = await Promise.all(["ip", "nft"].map((name) => findTool(name, searchPath)));
  const lacks: NetworkLack[] = [];
  if (ip === undefined) lacks.push(missing("the program ip", "apt-get install iproute2"));
  if (nft === undefined) lacks.push(missing("the program nft", "apt-get install nftables"));
  const allowed = await mayAdminister();
  if (!allowed) lacks.push(missing("the right to make network namespaces", "start the platform as root"));
  if (!(await access(SWITCHES, constants.W_OK).then(yes, no))) {
    lacks.push(missing("write access to /proc/sys/net", "mount /proc/sys read-write, or run outside a container"));
  }
  if (ip !== undefined && allowed) lacks.push(...(await inspectPolicies(ip)));
  if (nft !== undefined && allowed) lacks.push(...(await inspectTables(nft)));
  const nameservers = parseNameservers(await readFile("/etc/resolv.conf", "utf8").catch(() => ""));
  if (nameservers.length === 0)
    lacks.push(doubtful("no nameserver in /etc/resolv.conf", "add `nameserver <address>` there"));
  return lacks;
}

async function mayAdminister(): Promise<boolean> {
  const status = await readFile("/proc/self/status", "utf8");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)![1]}`);
  return (effective & CAPABILITIES) === CAPABILITIES;
}

/** What a network's own walls are made of (plumbing.ts). */
async function inspectPolicies(ip: string): Promise<NetworkLack[]> {
  try {
    await run(ip, ["xfrm", "policy", "count"]);
    return [];
  } catch (error) {
    return [
      missing(
        `xfrm policies (${(error as Error).message})`,
        "use a kernel with xfrm_user, and load it: modprobe xfrm_user",
      ),
    ];
  }
}

async function inspectTables(nft: string): Promise<NetworkLack[]> {
  const forwarder = { address: "100.64.0.1", udpPort: 53, tcpPort: 53 };
  const script = tableScript({
    names: createNames("000000"),
    block: "100.64.0.0/18",
    forwarder,
    maximumConnections: 1,
  });
  try {
    // Checked by the kernel, and not put in force.
    await run(nft, ["-c", "-f", "-"], script);
  } catch (error) {
    const said = (error as Error).message.split("\n").slice(0, 2).join(" ");
    return [
      missing(
        `nftables as the platform uses it (${said})`,
        "use a kernel with nf_tables, nf_nat, nft_fib_inet, nft_connlimit",
      ),
    ];
  }
  const chains = JSON.parse(await run(nft, ["-j", "list", "chains"])) as { nftables: { chain?: NftChain }[] };
  return chains.nftables.flatMap(({ chain }) => (chain && dropsOthers(chain) ? [dropping(chain)] : []));
}

interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** What lets sandboxes' packets through another firewall, by hook. Those of questions of names are untracked. */
const RULES: Readonly<Record<string, readonly string[]>> = Object.freeze({
  forward: ['iifname "cb*" accept', 'oifname "cb*" accept'],
  input: ['iifname "cb*" accept'],
  output: ['oifname "cb*" accept'],
});

/** Another firewall's, which our `accept` does not overrule. */
function dropsOthers({ table, hook, policy }: NftChain): boolean {
  return !table.startsWith("colibri_") && policy === "drop" && RULES[hook ?? ""] !== undefined;
}

function dropping({ family, table, name, hook }: NftChain): NetworkLack {
  const chain = `${family} ${table} ${name}`;
  const remedy = RULES[hook!]!.map((rule) => `nft insert rule ${chain} ${rule}`).join("; ");
  return doubtful(`the firewall chain ${chain} drops what it does not know, sandboxes' packets among it`, remedy);
}

function missing(what: string, remedy: string): NetworkLack {
  return { kind: "missing", what, remedy };
}

function doubtful(what: string, remedy: string): NetworkLack {
  return { kind: "doubtful", what, remedy };
}

const yes = () => true;
const no = () => false;
