/** What networks of sandboxes are made with and guarded by, opened together and closed together. */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { loadSystemCalls } from "#base/system-calls.ts";
import { formatAddress } from "#contract/network/ipv4.ts";
import { findTool, type NetworkTools, run, SEARCH_PATH } from "./commands.ts";
import { type Admission, DnsForwarder } from "./dns-forwarder.ts";
import type { Elements } from "./elements.ts";
import { TableGuard } from "./guard.ts";
import { blockText, chooseBlock } from "./host.ts";
import type { Names } from "./names.ts";
import { createNameservers, type Nameserver } from "./nameservers.ts";
import { createNetfilter, type Netfilter } from "./netfilter.ts";
import { NftWriter } from "./nft-writer.ts";
import { FORWARDER_NUMBER } from "./numbers.ts";
import { createPlumbing, type Plumbing } from "./plumbing.ts";
import type { SandboxNetwork, SandboxNetworkDeps } from "./sandbox-network.ts";
import { tableScript } from "./table.ts";
import { Uplinks } from "./uplinks.ts";

export interface NetworkParts {
  readonly tools: NetworkTools;
  readonly names: Names;
  /** First address of it. */
  readonly block: number;
  readonly plumbing: Plumbing;
  readonly writer: NftWriter;
  readonly guard: TableGuard;
  readonly uplinks: Uplinks;
  readonly forwarder: DnsForwarder;
  readonly networkDeps: SandboxNetworkDeps;
  /** The kernel remembers connections for days: who gets the address next has no part in them. */
  forgetConnections(address: string): void;
}

export interface PartsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly admission: Admission;
  /** All of which something may be in the table. */
  readonly networks: () => readonly SandboxNetwork[];
}

export interface PartsOptions {
  readonly home: string;
  readonly folder: string;
  readonly tools: NetworkTools;
  readonly names: Names;
  readonly maximumConnections: number | undefined;
  readonly nameservers: readonly Nameserver[] | undefined;
}

const DEFAULT_CONNECTIONS = 1_024;

/**
 * @param elements what an earlier agent left in the table
 * @param isUsed whether an earlier agent's networks are there: then the table stays when this fails
 */
export async function openParts(
  deps: PartsDeps,
  options: PartsOptions,
  elements: Elements | undefined,
  isUsed: boolean,
): Promise<NetworkParts> {
  const { clock, random, log, admission } = deps;
  const { tools, names } = options;
  const netfilter = createNetfilter(await loadSystemCalls());
  const block = await chooseBlock(tools, names, options.home);
  const address = formatAddress(block + FORWARDER_NUMBER);
  const plumbing = createPlumbing(tools, names);
  await plumbing.makeForwarderLink(address);
  const nameservers = nameserversOf(clock, options);
  const forwarder = new DnsForwarder({ clock, random, log, admission, nameservers });
  try {
    const maximumConnections = options.maximumConnections ?? DEFAULT_CONNECTIONS;
    const listening = { address, ...(await forwarder.open(address)) };
    const script = tableScript({ names, block: blockText(block), forwarder: listening, maximumConnections });
    const whole = () =>
      [script, ...uplinks.lines(), ...deps.networks().flatMap((network) => network.lines()), ""].join("\n");
    const guard = new TableGuard({ clock, log, netfilter }, { nft: tools.nft, table: names.table, script: whole });
    const writer = new NftWriter(tools.nft, () => guard.restore());
    const uplinks = new Uplinks({ log, writer }, names, elements?.uplinks ?? []);
    await writer.write([script]);
    await uplinks.refresh();
    guard.watch(() => writer.mend());
    const networkDeps = { clock, random, names, writer, folder: options.folder };
    const forgetConnections = forgetting(netfilter, log);
    return { tools, names, block, plumbing, writer, guard, uplinks, forwarder, networkDeps, forgetConnections };
  } catch (error) {
    await forwarder.close();
    if (!isUsed) await removeAll(tools, names, plumbing);
    throw error;
  }
}

/** @param isUsed leaves what sandboxes need */
export async function closeParts(parts: NetworkParts, isUsed: boolean): Promise<void> {
  parts.guard.stop();
  // It may be about to put the table back.
  await parts.writer.mend();
  await parts.forwarder.close();
  if (isUsed) return;
  await parts.uplinks.restore();
  await removeAll(parts.tools, parts.names, parts.plumbing);
}

/** @throws Error that says what to install. */
export async function findTools(searchPath: readonly string[] = SEARCH_PATH): Promise<NetworkTools> {
  const [ip, nft] = await Promise.all(["ip", "nft"].map((name) => findTool(name, searchPath)));
  if (ip === undefined) throw new Error(`no \`ip\` in ${searchPath.join(", ")}: install iproute2`);
  if (nft === undefined) throw new Error(`no \`nft\` in ${searchPath.join(", ")}: install nftables`);
  return { ip, nft };
}

function nameserversOf(clock: Clock, { nameservers }: PartsOptions): () => Promise<readonly Nameserver[]> {
  return nameservers ? async () => nameservers : createNameservers({ clock }, "/etc/resolv.conf");
}

function forgetting(netfilter: Netfilter, log: Log): (address: string) => void {
  let failed = false;
  return (address) => {
    try {
      netfilter.forgetConnections(address);
    } catch (error) {
      // The sandbox is gone all the same, and its address comes back late.
      if (!failed) log.warn("what the kernel remembers of a sandbox's connections stays until it runs out", { error });
      failed = true;
    }
  };
}

/** The table first: what it let through ends with it. */
async function removeAll(tools: NetworkTools, { table }: Names, plumbing: Plumbing): Promise<void> {
  // Added to be there: it may not have come to that.
  await run(tools.nft, ["-f", "-"], `add table ${table}\ndelete table ${table}\n`);
  await plumbing.removeForwarderLink();
}
