/**
 * Networks of sandboxes on this host: a pool of namespaces made ahead, and who may reach what from them.
 *
 * Owns: all interfaces, namespaces and the nft table that bear the home's key (names.ts), and the forwarder of names. The parts
 * that do the work are in parts.ts; here it is decided which networks there are.
 * Does not own: the processes in the namespaces, and what of the host's switches others have set.
 *
 * To read in this order: what it is for (ports/sandbox), names.ts, plumbing.ts (namespaces), table.ts (what they may reach), then
 * sandbox-network.ts (one's policy), dns-forwarder.ts (names), and guard.ts and uplinks.ts (others on the host).
 *
 * 1. What an earlier agent left is untouched until it is recovered or reaped; close leaves what is not reaped, and then the
 *    table too, for the next agent.
 * 2. `#networks` has every network of which something may be in the table: if the table must be put back, it is made from them.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { formatAddress } from "#contract/network/ipv4.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { Admission } from "./dns-forwarder.ts";
import { deletions, type Elements, readElements } from "./elements.ts";
import { type Remains, readRemains, readUplinks, smallestMtu } from "./host.ts";
import { createNames, linkNumber, type Names, networkNumber } from "./names.ts";
import type { Nameserver } from "./nameservers.ts";
import { BATCH, NetworkPool } from "./network-pool.ts";
import { NetworkRemoval } from "./network-removal.ts";
import { Numbers } from "./numbers.ts";
import { closeParts, findTools, type NetworkParts, openParts } from "./parts.ts";
import { SandboxNetwork } from "./sandbox-network.ts";
import { NAMESERVER } from "./table.ts";

export interface TakenNetwork {
  /** To recover it by. */
  readonly name: string;
  /** File of the network namespace, for `namespaces[].path` of an OCI configuration. In our mount table only. */
  readonly path: string;
  readonly address: string;
  /** For its resolv.conf: the same for every network. */
  readonly nameserver: string;
  /** In force when it resolves; a new network has `internet`. @throws PlatformError config-invalid for a host that can't be allowed. */
  apply(policy: NetworkPolicy): Promise<void>;
  /** When its sandbox is gone. Nothing of it is left when it resolves. */
  release(): Promise<void>;
}

export interface SandboxNetworks {
  /** @throws Error when a tool is missing or the host refuses. */
  open(signal: AbortSignal): Promise<void>;
  /** From the pool at once, else as soon as one is made. */
  take(): Promise<TakenNetwork>;
  /** A network that an earlier agent took. Undefined when it is not whole any more. */
  recover(name: string): Promise<TakenNetwork | undefined>;
  /** Removes what earlier agents left and is neither recovered nor named here, as far as it can. How many networks went. */
  reap(keep: readonly string[]): Promise<number>;
  /** Removes the pool, and everything else unless networks are still taken. */
  close(): Promise<void>;
}

export interface NetworksDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface NetworksOptions {
  /** Six hexadecimal digits, another for every platform home on the host. */
  readonly home: string;
  /** Where policies outlive the agent. */
  readonly folder: string;
  readonly poolSize: number;
  /** Connections that one sandbox may have open to the internet. */
  readonly maximumConnections?: number;
  /** Folders of `ip` and `nft`. */
  readonly searchPath?: readonly string[];
  /** Asked for names, instead of those in /etc/resolv.conf. */
  readonly nameservers?: readonly Nameserver[];
}

export function createSandboxNetworks(deps: NetworksDeps, options: NetworksOptions): SandboxNetworks {
  return new Networks(deps, options);
}

interface Opened {
  readonly parts: NetworkParts;
  readonly numbers: Numbers;
}

class Networks implements SandboxNetworks {
  readonly #deps: NetworksDeps;
  readonly #options: NetworksOptions;
  readonly #names: Names;
  readonly #pool: NetworkPool;
  readonly #removal = new NetworkRemoval((networks) => this.#remove(networks));
  /** By address. */
  readonly #networks = new Map<string, SandboxNetwork>();
  #opened: Opened | undefined;

  constructor(deps: NetworksDeps, options: NetworksOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#names = createNames(options.home);
    this.#pool = new NetworkPool({ ...deps, make: (count) => this.#make(count) }, options.poolSize);
  }

  async open(signal: AbortSignal): Promise<void> {
    const tools = await findTools(this.#options.searchPath);
    const [elements, remains] = await Promise.all([readElements(tools, this.#names), readRemains(this.#names)]);
    const found = numbersOf(this.#names, remains, elements);
    signal.throwIfAborted();
    const { home, folder, maximumConnections, nameservers } = this.#options;
    const options = { home, folder, maximumConnections, nameservers, tools, names: this.#names };
    const own = { admission: this.#admission(), networks: () => [...this.#networks.values()] };
    const parts = await openParts({ ...this.#deps, ...own }, options, elements, found.size > 0);
    this.#opened = { parts, numbers: new Numbers(this.#deps.random, found) };
    this.#pool.fill();
  }

  async take(): Promise<TakenNetwork> {
    this.#mustBeOpen();
    return this.#handle(await this.#pool.take());
  }

  async recover(name: string): Promise<TakenNetwork | undefined> {
    const { parts, numbers } = this.#mustBeOpen();
    const number = networkNumber(this.#names, name);
    if (number === undefined || !numbers.found.has(number)) return undefined;
    const [elements, remains] = await Promise.all([readElements(parts.tools, this.#names), readRemains(this.#names)]);
    const element = elements?.networks.find(({ link }) => linkNumber(this.#names, link) === number);
    if (element === undefined || !remains.links.has(number) || !remains.pins.has(number)) return undefined;
    const network = new SandboxNetwork(parts.networkDeps, { number, address: element.address });
    try {
      await network.adopt(element.verdict, elements!.rows);
    } catch (error) {
      this.#deps.log.warn("a sandbox's network is not recovered: its policy can't be read", { network: name, error });
      return undefined;
    }
    numbers.adopt(number);
    this.#networks.set(network.address, network);
    return this.#handle(network);
  }

  async reap(keep: readonly string[]): Promise<number> {
    const { parts, numbers } = this.#mustBeOpen();
    const kept = new Set(keep.flatMap((name) => networkNumber(this.#names, name) ?? []));
    const doomed = [...numbers.found].filter((number) => !kept.has(number));
    const elements = await readElements(parts.tools, this.#names);
    if (elements !== undefined) await parts.writer.write(this.#strayLines(elements, new Set(doomed)));
    for (let start = 0; start < doomed.length; start += BATCH)
      await this.#removeFound(doomed.slice(start, start + BATCH));
    await this.#removeStrayFiles(numbers);
    return doomed.filter((number) => !numbers.isUsed(number)).length;
  }

  async close(): Promise<void> {
    const ready = await this.#pool.close();
    if (this.#opened === undefined) return;
    await Promise.all(ready.map((network) => this.#removal.release(network)));
    await this.#removal.idle();
    const { parts, numbers } = this.#opened;
    this.#opened = undefined;
    await closeParts(parts, this.#networks.size > 0 || numbers.found.size > 0);
  }

  #admission(): Admission {
    return {
      admit: (address, name) => {
        const network = this.#networks.get(address);
        if (network === undefined) return "stranger";
        return network.admits(name) ? "admitted" : "refused";
      },
      open: async (address, name, found, ttlSeconds) => this.#networks.get(address)?.open(name, found, ttlSeconds),
    };
  }

  #handle(network: SandboxNetwork): TakenNetwork {
    const { name, path, address } = network;
    let released: Promise<void> | undefined;
    const release = () => {
      released ??= this.#removal.release(network);
      return released;
    };
    return { name, path, address, nameserver: NAMESERVER, apply: (policy) => network.apply(policy), release };
  }

  async #make(count: number): Promise<readonly SandboxNetwork[]> {
    const { parts, numbers } = this.#mustBeOpen();
    const { plumbing, writer, uplinks, block, networkDeps } = parts;
    await uplinks.refresh();
    const mtu = await smallestMtu(await readUplinks(this.#names));
    const networks = Array.from({ length: count }, () => {
      const number = numbers.take();
      return new SandboxNetwork(networkDeps, { number, address: formatAddress(block + number) });
    });
    try {
      await plumbing.make(networks, mtu);
      await writer.write(networks.flatMap((network) => network.lines()));
    } catch (error) {
      for (const { number } of networks) numbers.abandon(number);
      await plumbing.remove(networks.map(({ number }) => number));
      for (const { number } of networks) numbers.free(number);
      throw error;
    }
    for (const network of networks) this.#networks.set(network.address, network);
    return networks;
  }

  async #remove(networks: readonly SandboxNetwork[]): Promise<void> {
    const { parts, numbers } = this.#mustBeOpen();
    await Promise.all(networks.map((network) => network.seal()));
    try {
      await parts.writer.write(networks.flatMap((network) => network.closing()));
    } finally {
      // From here on they are like an earlier agent's: should this fail, reaping removes them.
      for (const network of networks) {
        this.#networks.delete(network.address);
        numbers.abandon(network.number);
      }
    }
    await parts.plumbing.remove(networks.map(({ number }) => number));
    for (const network of networks) {
      parts.forgetConnections(network.address);
      if (network.hasFile) await network.forgetFile();
      numbers.free(network.number);
    }
  }

  /** What stays keeps its number, and is found by the next reaping. */
  async #removeFound(found: readonly number[]): Promise<void> {
    const { parts, numbers } = this.#mustBeOpen();
    try {
      await parts.plumbing.remove(found);
    } catch (error) {
      this.#deps.log.error("networks of sandboxes that are gone can't be removed: the next agent tries again", {
        error,
      });
      return;
    }
    for (const number of found) {
      parts.forgetConnections(formatAddress(parts.block + number));
      numbers.free(number);
    }
  }

  /** Elements of these networks, and of no network at all. */
  #strayLines(elements: Elements, doomed: ReadonlySet<number>): string[] {
    const isDoomed = ({ link }: { link: string }) => doomed.has(linkNumber(this.#names, link) ?? -1);
    const alive = new Set([
      ...this.#networks.keys(),
      ...elements.networks.filter((element) => !isDoomed(element)).map(({ address }) => address),
    ]);
    const stray = new Set(elements.rows.map(({ address }) => address).filter((address) => !alive.has(address)));
    return [
      ...elements.networks
        .filter(isDoomed)
        .map(({ link, address }) => `delete element ${this.#names.table} networks { "${link}" . ${address} }`),
      ...deletions(this.#names, elements, stray),
    ];
  }

  async #removeStrayFiles(numbers: Numbers): Promise<void> {
    const files = await readdir(this.#options.folder).catch(() => []);
    for (const file of files) {
      const number = networkNumber(this.#names, file.split(".")[0]!);
      if (number !== undefined && !numbers.isUsed(number)) await rm(join(this.#options.folder, file), { force: true });
    }
  }

  #mustBeOpen(): Opened {
    if (this.#opened === undefined) throw new Error("the networks of sandboxes are not open");
    return this.#opened;
  }
}

/** Whatever bears a number of ours: an interface, a pin, a row in the table. */
function numbersOf(names: Names, remains: Remains, elements: Elements | undefined): Set<number> {
  const inTable = (elements?.networks ?? []).flatMap(({ link }) => linkNumber(names, link) ?? []);
  return new Set([...remains.links, ...remains.files, ...inTable]);
}
