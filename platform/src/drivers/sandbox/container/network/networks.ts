/**
 * Networks of sandboxes on this host: a pool of namespaces made ahead, and who may reach what from them.
 *
 * Owns: all interfaces, namespaces and the nft table that bear the home's key (names.ts), and the forwarder of names.
 * Does not own: the processes in the namespaces, and what of the host's switches others have set.
 *
 * 1. A number names one slot (its namespace, interface and address) and is in use until all of these are gone.
 * 2. A slot in the pool has the policy `internet`: it holds no code but ours.
 * 3. What an earlier agent left is untouched until it is recovered or reaped; close leaves what is not reaped, and then the
 *    table too, for the next agent.
 * 4. Numbers are given in a circle, so that an address comes back as late as can be.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { formatAddress } from "#contract/network/ipv4.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import { findTool, type NetworkTools, run, SEARCH_PATH } from "./commands.ts";
import { type Admission, DnsForwarder } from "./dns-forwarder.ts";
import { deletions, type Elements, readElements } from "./elements.ts";
import { BLOCK_PREFIX, blockText, chooseBlock, type Remains, readRemains, readUplinks, smallestMtu } from "./host.ts";
import { createNames, linkNumber, type Names, slotNumber } from "./names.ts";
import { createNameservers, type Nameserver } from "./nameservers.ts";
import { NftWriter } from "./nft-writer.ts";
import { createPlumbing, type Plumbing } from "./plumbing.ts";
import { Slot, type SlotDeps } from "./slot.ts";
import { NAMESERVER, tableScript } from "./table.ts";
import { Uplinks } from "./uplinks.ts";

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
  /** Removes what earlier agents left and is neither recovered nor named here. How many slots went. */
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

const DEFAULT_CONNECTIONS = 1_024;
/** Slots made or removed by one process of `ip`. */
const BATCH = 16;
const RETRY_MS = 1_000;
/** Of the block: 0 is no address to give, 1 is the forwarder's. */
const FORWARDER_NUMBER = 1;
const FIRST_NUMBER = 2;
const LAST_NUMBER = 2 ** (32 - BLOCK_PREFIX) - 2;

export function createSandboxNetworks(deps: NetworksDeps, options: NetworksOptions): SandboxNetworks {
  return new Networks(deps, options);
}

interface Opened {
  readonly tools: NetworkTools;
  readonly block: number;
  readonly plumbing: Plumbing;
  readonly writer: NftWriter;
  readonly uplinks: Uplinks;
  readonly forwarder: DnsForwarder;
  readonly slotDeps: SlotDeps;
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

class Networks implements SandboxNetworks {
  readonly #deps: NetworksDeps;
  readonly #options: NetworksOptions;
  readonly #names: Names;
  #opened: Opened | undefined;
  #closing = false;
  /** Invariant 1. */
  readonly #used = new Set<number>();
  /** All slots of this agent, by address. */
  readonly #slots = new Map<string, Slot>();
  readonly #pool: Slot[] = [];
  readonly #takers: Waiting<Slot>[] = [];
  /** Numbers that an earlier agent used. */
  readonly #found = new Set<number>();
  readonly #retired: (Waiting<void> & { readonly slot: Slot })[] = [];
  #filling: Promise<void> | undefined;
  #removing: Promise<void> | undefined;
  #retry: Timer | undefined;
  #next = FIRST_NUMBER;

  constructor(deps: NetworksDeps, options: NetworksOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#names = createNames(options.home);
  }

  async open(signal: AbortSignal): Promise<void> {
    const tools = await this.#findTools();
    const [elements, remains] = await Promise.all([readElements(tools, this.#names), readRemains(this.#names)]);
    for (const number of numbersOf(this.#names, remains, elements)) {
      this.#found.add(number);
      this.#used.add(number);
    }
    this.#next = FIRST_NUMBER + this.#deps.random.below(LAST_NUMBER - FIRST_NUMBER);
    signal.throwIfAborted();
    const block = await chooseBlock(tools, this.#names, this.#options.home);
    await this.#openWith(tools, block, elements);
    this.#fill();
  }

  async take(): Promise<NetworkSlot> {
    this.#mustBeOpen();
    const slot = this.#pool.shift() ?? (await this.#nextMade());
    this.#fill();
    return this.#handle(slot);
  }

  async recover(name: string): Promise<NetworkSlot | undefined> {
    const { tools, slotDeps } = this.#mustBeOpen();
    const number = slotNumber(this.#names, name);
    if (number === undefined || !this.#found.has(number)) return undefined;
    const [elements, remains] = await Promise.all([readElements(tools, this.#names), readRemains(this.#names)]);
    const element = elements?.slots.find(({ link }) => linkNumber(this.#names, link) === number);
    if (element === undefined || !remains.links.has(number) || !remains.pins.has(number)) return undefined;
    const slot = new Slot(slotDeps, { number, address: element.address });
    try {
      await slot.adopt(element);
    } catch (error) {
      this.#deps.log.warn("a sandbox's network is not recovered: its policy can't be read", { network: name, error });
      return undefined;
    }
    this.#found.delete(number);
    this.#slots.set(slot.address, slot);
    return this.#handle(slot);
  }

  async reap(keep: readonly string[]): Promise<number> {
    const { tools, plumbing, writer } = this.#mustBeOpen();
    const kept = new Set(keep.flatMap((name) => slotNumber(this.#names, name) ?? []));
    const doomed = [...this.#found].filter((number) => !kept.has(number));
    const elements = await readElements(tools, this.#names);
    if (elements !== undefined) await writer.write(this.#strayLines(elements, new Set(doomed)));
    for (let start = 0; start < doomed.length; start += BATCH) {
      const numbers = doomed.slice(start, start + BATCH);
      await plumbing.remove(numbers);
      for (const number of numbers) this.#free(number);
    }
    await this.#removeStrayFiles();
    return doomed.length;
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#retry !== undefined) this.#deps.clock.cancel(this.#retry);
    await this.#filling;
    for (const { reject } of this.#takers.splice(0)) reject(new Error("the networks of sandboxes are closing"));
    const opened = this.#opened;
    if (opened === undefined) return;
    await Promise.all(this.#pool.splice(0).map((slot) => this.#release(slot)));
    await this.#removing;
    this.#opened = undefined;
    await opened.forwarder.close();
    if (this.#slots.size > 0 || this.#found.size > 0) return;
    await opened.uplinks.restore();
    await this.#removeAll(opened.tools, opened.plumbing);
  }

  /** The table first: what it let through ends with it. */
  async #removeAll(tools: NetworkTools, plumbing: Plumbing): Promise<void> {
    const { table } = this.#names;
    // Added to be there: it may not have come to that.
    await run(tools.nft, ["-f", "-"], `add table ${table}\ndelete table ${table}\n`);
    await plumbing.removeForwarderLink();
  }

  async #openWith(tools: NetworkTools, block: number, elements: Elements | undefined): Promise<void> {
    const { clock, random, log } = this.#deps;
    const address = formatAddress(block + FORWARDER_NUMBER);
    const plumbing = createPlumbing(tools, this.#names);
    await plumbing.makeForwarderLink(address);
    const nameservers = this.#options.nameservers;
    const forwarder = new DnsForwarder({
      clock,
      random,
      log,
      admission: this.#admission(),
      nameservers: nameservers ? async () => nameservers : createNameservers({ clock }, "/etc/resolv.conf"),
    });
    try {
      const ports = await forwarder.open(address);
      const writer = new NftWriter(tools.nft);
      const maximumConnections = this.#options.maximumConnections ?? DEFAULT_CONNECTIONS;
      const table = {
        names: this.#names,
        block: blockText(block),
        forwarder: { address, ...ports },
        maximumConnections,
      };
      await writer.write([tableScript(table)]);
      const uplinks = new Uplinks({ log, writer }, this.#names, elements?.uplinks ?? []);
      await uplinks.refresh();
      const slotDeps = { clock, random, tools, names: this.#names, writer, folder: this.#options.folder };
      this.#opened = { tools, block, plumbing, writer, uplinks, forwarder, slotDeps };
    } catch (error) {
      await forwarder.close();
      if (this.#found.size === 0) await this.#removeAll(tools, plumbing);
      throw error;
    }
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
      released ??= this.#release(slot);
      return released;
    };
    return { name, path, address, nameserver: NAMESERVER, apply: (policy) => slot.apply(policy), release };
  }

  #nextMade(): Promise<Slot> {
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
      this.#fill();
    });
  }

  /** Keeps making until nobody waits and the pool is full. */
  #fill(): void {
    if (this.#filling !== undefined || this.#closing || this.#wanted() === 0) return;
    this.#filling = this.#makeWanted()
      .catch((error: unknown) => this.#failTakers(error))
      .finally(() => {
        this.#filling = undefined;
      });
  }

  async #makeWanted(): Promise<void> {
    for (let count = this.#wanted(); count > 0 && !this.#closing; count = this.#wanted()) {
      for (const slot of await this.#make(count)) {
        const taker = this.#takers.shift();
        if (taker === undefined) this.#pool.push(slot);
        else taker.resolve(slot);
      }
    }
  }

  /** Whoever waits comes before the pool. */
  #wanted(): number {
    const count = this.#takers.length > 0 ? this.#takers.length : this.#options.poolSize - this.#pool.length;
    return Math.max(0, Math.min(BATCH, count));
  }

  async #make(count: number): Promise<Slot[]> {
    const { plumbing, writer, uplinks, block, slotDeps } = this.#mustBeOpen();
    await uplinks.refresh();
    const mtu = await smallestMtu(await readUplinks(this.#names));
    const slots = Array.from({ length: count }, () => {
      const number = this.#nextNumber();
      return new Slot(slotDeps, { number, address: formatAddress(block + number) });
    });
    try {
      await plumbing.make(slots, mtu);
      await writer.write(slots.map((slot) => slot.opening()));
    } catch (error) {
      for (const { number } of slots) this.#found.add(number);
      await this.#discard(slots);
      throw error;
    }
    for (const slot of slots) this.#slots.set(slot.address, slot);
    return slots;
  }

  async #discard(slots: readonly Slot[]): Promise<void> {
    const numbers = slots.map(({ number }) => number);
    await this.#mustBeOpen().plumbing.remove(numbers);
    for (const number of numbers) this.#free(number);
  }

  #failTakers(error: unknown): void {
    this.#deps.log.warn("no network was made for sandboxes", { error });
    for (const { reject } of this.#takers.splice(0)) reject(error);
    if (this.#closing) return;
    this.#retry = this.#deps.clock.after(RETRY_MS, () => this.#fill());
  }

  #nextNumber(): number {
    for (let step = FIRST_NUMBER; step <= LAST_NUMBER; step++) {
      const number = this.#next;
      this.#next = number === LAST_NUMBER ? FIRST_NUMBER : number + 1;
      if (this.#used.has(number)) continue;
      this.#used.add(number);
      return number;
    }
    throw new Error(`all ${LAST_NUMBER} networks of this host are in use`);
  }

  #free(number: number): void {
    this.#found.delete(number);
    this.#used.delete(number);
  }

  #release(slot: Slot): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#retired.push({ slot, resolve, reject });
      this.#removing ??= this.#removeRetired().finally(() => {
        this.#removing = undefined;
      });
    });
  }

  async #removeRetired(): Promise<void> {
    // All that this turn of the event loop still releases.
    await Promise.resolve();
    while (this.#retired.length > 0) {
      const batch = this.#retired.splice(0, BATCH);
      try {
        await this.#remove(batch.map(({ slot }) => slot));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }

  async #remove(slots: readonly Slot[]): Promise<void> {
    const { tools, plumbing, writer } = this.#mustBeOpen();
    await Promise.all(slots.map((slot) => slot.seal()));
    // From here on they are like an earlier agent's: should this fail, reaping removes them.
    for (const slot of slots) {
      this.#slots.delete(slot.address);
      this.#found.add(slot.number);
    }
    const elements = slots.some((slot) => slot.hasRows) ? await readElements(tools, this.#names) : undefined;
    const rows = elements ? deletions(this.#names, elements, new Set(slots.map(({ address }) => address))) : [];
    await writer.write([...slots.flatMap((slot) => slot.closing()), ...rows]);
    await plumbing.remove(slots.map(({ number }) => number));
    for (const slot of slots) {
      if (slot.hasRows) await slot.forgetFile();
      this.#free(slot.number);
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

  async #removeStrayFiles(): Promise<void> {
    const files = await readdir(this.#options.folder).catch(() => []);
    for (const file of files) {
      const number = slotNumber(this.#names, file.split(".")[0]!);
      if (number !== undefined && !this.#used.has(number)) await rm(join(this.#options.folder, file), { force: true });
    }
  }

  async #findTools(): Promise<NetworkTools> {
    const searchPath = this.#options.searchPath ?? SEARCH_PATH;
    const [ip, nft] = await Promise.all([findTool("ip", searchPath), findTool("nft", searchPath)]);
    if (ip === undefined) throw new Error(`no \`ip\` in ${searchPath.join(", ")}: install iproute2`);
    if (nft === undefined) throw new Error(`no \`nft\` in ${searchPath.join(", ")}: install nftables`);
    return { ip, nft };
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
