/**
 * Networks of sandboxes on this host: a pool of namespaces made ahead, and who may reach what from them.
 *
 * Owns: all interfaces, namespaces and the nft table that bear the home's key (names.ts), and the forwarder of names. The parts
 * that do the work are in parts.ts; here it is decided which slots there are.
 * Does not own: the processes in the namespaces, and what of the host's switches others have set.
 *
 * 1. What an earlier agent left is untouched until it is recovered or reaped; close leaves what is not reaped, and then the
 *    table too, for the next agent.
 * 2. `#slots` has every slot of which something may be in the table: if the table must be put back, it is made from them.
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
import { createNames, linkNumber, type Names, slotNumber } from "./names.ts";
import type { Nameserver } from "./nameservers.ts";
import { Numbers } from "./numbers.ts";
import { closeParts, findTools, type NetworkParts, openParts } from "./parts.ts";
import { Slot } from "./slot.ts";
import { BATCH, SlotPool } from "./slot-pool.ts";
import { SlotRemoval } from "./slot-removal.ts";
import { NAMESERVER } from "./table.ts";

export interface NetworkSlot {
  /** To recover it by. */
  readonly name: string;
  /** File of the network namespace, for `namespaces[].path` of an OCI configuration. In our mount table only. */
  readonly path: string;
  readonly address: string;
  /** For its resolv.conf: the same for every slot. */
  readonly nameserver: string;
  /** In force when it resolves; a new slot has `internet`. @throws PlatformError config-invalid for a host that can't be allowed. */
  apply(policy: NetworkPolicy): Promise<void>;
  /** When its sandbox is gone. Nothing of it is left when it resolves. */
  release(): Promise<void>;
}

export interface SandboxNetworks {
  /** @throws Error when a tool is missing or the host refuses. */
  open(signal: AbortSignal): Promise<void>;
  /** From the pool at once, else as soon as one is made. */
  take(): Promise<NetworkSlot>;
  /** A slot that an earlier agent took. Undefined when it is not whole any more. */
  recover(name: string): Promise<NetworkSlot | undefined>;
  /** Removes what earlier agents left and is neither recovered nor named here, as far as it can. How many slots went. */
  reap(keep: readonly string[]): Promise<number>;
  /** Removes the pool, and everything else unless slots are still taken. */
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
  readonly #pool: SlotPool;
  readonly #removal = new SlotRemoval((slots) => this.#remove(slots));
  /** By address. */
  readonly #slots = new Map<string, Slot>();
  #opened: Opened | undefined;

  constructor(deps: NetworksDeps, options: NetworksOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#names = createNames(options.home);
    this.#pool = new SlotPool({ ...deps, make: (count) => this.#make(count) }, options.poolSize);
  }

  async open(signal: AbortSignal): Promise<void> {
    const tools = await findTools(this.#options.searchPath);
    const [elements, remains] = await Promise.all([readElements(tools, this.#names), readRemains(this.#names)]);
    const found = numbersOf(this.#names, remains, elements);
    signal.throwIfAborted();
    const { home, folder, maximumConnections, nameservers } = this.#options;
    const options = { home, folder, maximumConnections, nameservers, tools, names: this.#names };
    const own = { admission: this.#admission(), slots: () => [...this.#slots.values()] };
    const parts = await openParts({ ...this.#deps, ...own }, options, elements, found.size > 0);
    this.#opened = { parts, numbers: new Numbers(this.#deps.random, found) };
    this.#pool.fill();
  }

  async take(): Promise<NetworkSlot> {
    this.#mustBeOpen();
    return this.#handle(await this.#pool.take());
  }

  async recover(name: string): Promise<NetworkSlot | undefined> {
    const { parts, numbers } = this.#mustBeOpen();
    const number = slotNumber(this.#names, name);
    if (number === undefined || !numbers.found.has(number)) return undefined;
    const [elements, remains] = await Promise.all([readElements(parts.tools, this.#names), readRemains(this.#names)]);
    const element = elements?.slots.find(({ link }) => linkNumber(this.#names, link) === number);
    if (element === undefined || !remains.links.has(number) || !remains.pins.has(number)) return undefined;
    const slot = new Slot(parts.slotDeps, { number, address: element.address });
    try {
      await slot.adopt(element.verdict, elements!.rows);
    } catch (error) {
      this.#deps.log.warn("a sandbox's network is not recovered: its policy can't be read", { network: name, error });
      return undefined;
    }
    numbers.adopt(number);
    this.#slots.set(slot.address, slot);
    return this.#handle(slot);
  }

  async reap(keep: readonly string[]): Promise<number> {
    const { parts, numbers } = this.#mustBeOpen();
    const kept = new Set(keep.flatMap((name) => slotNumber(this.#names, name) ?? []));
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
    await Promise.all(ready.map((slot) => this.#removal.release(slot)));
    await this.#removal.idle();
    const { parts, numbers } = this.#opened;
    this.#opened = undefined;
    await closeParts(parts, this.#slots.size > 0 || numbers.found.size > 0);
  }

  #admission(): Admission {
    return {
      admit: (address, name) => {
        const slot = this.#slots.get(address);
        if (slot === undefined) return "stranger";
        return slot.admits(name) ? "admitted" : "refused";
      },
      grant: async (address, name, found, ttlSeconds) => this.#slots.get(address)?.grant(name, found, ttlSeconds),
    };
  }

  #handle(slot: Slot): NetworkSlot {
    const { name, path, address } = slot;
    let released: Promise<void> | undefined;
    const release = () => {
      released ??= this.#removal.release(slot);
      return released;
    };
    return { name, path, address, nameserver: NAMESERVER, apply: (policy) => slot.apply(policy), release };
  }

  async #make(count: number): Promise<readonly Slot[]> {
    const { parts, numbers } = this.#mustBeOpen();
    const { plumbing, writer, uplinks, block, slotDeps } = parts;
    await uplinks.refresh();
    const mtu = await smallestMtu(await readUplinks(this.#names));
    const slots = Array.from({ length: count }, () => {
      const number = numbers.take();
      return new Slot(slotDeps, { number, address: formatAddress(block + number) });
    });
    try {
      await plumbing.make(slots, mtu);
      await writer.write(slots.flatMap((slot) => slot.lines()));
    } catch (error) {
      for (const { number } of slots) numbers.abandon(number);
      await plumbing.remove(slots.map(({ number }) => number));
      for (const { number } of slots) numbers.free(number);
      throw error;
    }
    for (const slot of slots) this.#slots.set(slot.address, slot);
    return slots;
  }

  async #remove(slots: readonly Slot[]): Promise<void> {
    const { parts, numbers } = this.#mustBeOpen();
    await Promise.all(slots.map((slot) => slot.seal()));
    try {
      await parts.writer.write(slots.flatMap((slot) => slot.closing()));
    } finally {
      // From here on they are like an earlier agent's: should this fail, reaping removes them.
      for (const slot of slots) {
        this.#slots.delete(slot.address);
        numbers.abandon(slot.number);
      }
    }
    await parts.plumbing.remove(slots.map(({ number }) => number));
    for (const slot of slots) {
      parts.forgetConnections(slot.address);
      if (slot.hasFile) await slot.forgetFile();
      numbers.free(slot.number);
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

  /** Elements of these slots, and of no slot at all. */
  #strayLines(elements: Elements, doomed: ReadonlySet<number>): string[] {
    const isDoomed = ({ link }: { link: string }) => doomed.has(linkNumber(this.#names, link) ?? -1);
    const alive = new Set([
      ...this.#slots.keys(),
      ...elements.slots.filter((element) => !isDoomed(element)).map(({ address }) => address),
    ]);
    const stray = new Set(elements.rows.map(({ address }) => address).filter((address) => !alive.has(address)));
    return [
      ...elements.slots
        .filter(isDoomed)
        .map(({ link, address }) => `delete element ${this.#names.table} slots { "${link}" . ${address} }`),
      ...deletions(this.#names, elements, stray),
    ];
  }

  async #removeStrayFiles(numbers: Numbers): Promise<void> {
    const files = await readdir(this.#options.folder).catch(() => []);
    for (const file of files) {
      const number = slotNumber(this.#names, file.split(".")[0]!);
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
  const inTable = (elements?.slots ?? []).flatMap(({ link }) => linkNumber(names, link) ?? []);
  return new Set([...remains.links, ...remains.files, ...inTable]);
}
