/**
 * One sandbox's network, from the pool to its release.
 *
 * Owns: the policy in force, and what names have been found to be under it: all rows of the network in the table follow from them.
 * Does not own: the namespace and its interfaces (plumbing.ts).
 *
 * 1. The packet filter changes before the network's own view, and a policy is whole or not there.
 * 2. Every policy has a mark of its own: connections that names allowed end with it.
 * 3. The names of an allow-list are on disk before they are in force: the kernel keeps addresses only, and a new agent must
 *    know what may be asked. By the mark, which is in both, it knows whether what is on disk had come into force.
 */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import type { Random } from "#base/random.ts";
import { formatRange, isDenied, parseRange } from "#contract/network/ipv4.ts";
import {
  type AllowList,
  allowedPorts,
  type NetworkPolicy,
  parseAllowList,
  samePolicy,
} from "#contract/network/policy.ts";
import type { Elements, Verdict } from "./elements.ts";
import { type Names, PIN_FOLDER } from "./names.ts";
import type { NftWriter } from "./nft-writer.ts";

export interface SandboxNetworkDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly names: Names;
  readonly writer: NftWriter;
  /** Where allow-lists are kept. */
  readonly folder: string;
}

interface Applied {
  readonly policy: NetworkPolicy;
  /** Of the kind `allow`. */
  readonly allowed: Allowed | undefined;
}

interface Allowed {
  readonly list: AllowList;
  /** Without an end. */
  readonly rows: readonly Row[];
  /** Element by element, until when it is open: a monotonic time. */
  readonly opened: Map<string, number>;
}

type AllowPolicy = NetworkPolicy & { readonly kind: "allow" };

type PolicyOnDisk = AllowPolicy & { readonly mark: number };

/** Of a set; of a map when there is a value. */
interface Row {
  readonly set: string;
  readonly key: string;
  readonly value?: number;
}

/** Kept beyond the life of the answer, for who looks up first and connects later. */
const GRACE_S = 30;
const MINIMUM_OPEN_S = 60;
/** RFC 8767 tells resolvers to believe no longer life. */
const MAXIMUM_OPEN_S = 7 * 24 * 60 * 60;
const MAXIMUM_OPENED = 1_024;

const FREE: NetworkPolicy = { kind: "internet" };

export class SandboxNetwork {
  readonly number: number;
  readonly address: string;
  readonly name: string;
  readonly path: string;
  readonly #deps: SandboxNetworkDeps;
  #applied: Applied = { policy: FREE, allowed: undefined };
  /** The policy was read from disk, and is not the one in the table: the next one asked for is written whatever it is. */
  #isAhead = false;
  /** The end of the last change asked for. */
  #changed: Promise<void> = Promise.resolve();
  /** Under way. */
  readonly #underWay = new Set<Promise<void>>();
  /** Nothing may be opened between reading what is open and deleting it. */
  #changing = false;
  #sealed = false;

  constructor(deps: SandboxNetworkDeps, planned: { number: number; address: string }) {
    this.#deps = deps;
    this.number = planned.number;
    this.address = planned.address;
    this.name = `${deps.names.namespacePrefix}${planned.number}`;
    this.path = join(PIN_FOLDER, this.name);
  }

  /** Lines that put into a table without any all that belongs there of it. A new network has the policy `internet`. */
  lines(): string[] {
    const { policy, allowed } = this.#applied;
    return [this.#assigning(policy), ...(allowed === undefined ? [] : this.#allowing(allowed))];
  }

  /** Lines after which nothing of it is let through any more, and no row of it is left. */
  closing(): string[] {
    // What the kernel adds by itself may be there or not: it is added to be there.
    const counted = ["connections", "questions"].flatMap((set) => [
      this.#add(set, this.address),
      `delete element ${this.#deps.names.table} ${set} { ${this.address} }`,
    ]);
    return [this.#withdrawing(), ...counted, ...this.#forgetting()];
  }

  /** Whether its policy is on disk. */
  get hasFile(): boolean {
    return this.#applied.allowed !== undefined;
  }

  /** Ends all change: resolves when the last one asked for is over. */
  async seal(): Promise<void> {
    this.#sealed = true;
    await this.#changed.catch(() => {});
    await Promise.allSettled(this.#underWay);
  }

  async forgetFile(): Promise<void> {
    await rm(this.#file, { force: true });
  }

  /** Takes over what is in force: nothing changes for the sandbox. */
  async adopt(verdict: Verdict, rows: Elements["rows"]): Promise<void> {
    if (verdict !== "allow") {
      this.#applied = { policy: { kind: verdict }, allowed: undefined };
      return;
    }
    const { mark: markOnDisk, ...policy } = JSON.parse(await readFile(this.#file, "utf8")) as PolicyOnDisk;
    const own = rows.filter(({ address }) => address === this.address);
    const mark = Number(own.find(({ set }) => set === "live")?.key.split(" . ")[1]);
    this.#isAhead = markOnDisk !== mark;
    // As they are in the table, whatever is on disk.
    const fixed = own
      .filter(({ leftSeconds }) => leftSeconds === undefined)
      .map(({ set, key }) => (set === "marks" ? { set, key, value: mark } : { set, key }));
    const now = this.#deps.clock.monotonic();
    const opened = own.flatMap(({ set, key, leftSeconds }) =>
      leftSeconds === undefined ? [] : [[`${set} ${key}`, now + leftSeconds * 1_000] as const],
    );
    this.#applied = { policy, allowed: { list: parseAllowList(policy.hosts), rows: fixed, opened: new Map(opened) } };
  }

  /** In force when it resolves. @throws PlatformError config-invalid for a host that can't be allowed. */
  apply(policy: NetworkPolicy): Promise<void> {
    assert(!this.#sealed, `${this.name} is released: it takes no policy any more`);
    const change = this.#changed.catch(() => {}).then(() => this.#change(policy));
    this.#changed = change;
    return change;
  }

  admits(name: string): boolean {
    const { policy, allowed } = this.#applied;
    if (allowed === undefined) return policy.kind === "internet";
    return allowedPorts(allowed.list, name).length > 0;
  }

  /** Opens what a name was found to be, where the policy goes by names. @throws Error when it can't be opened. */
  async open(name: string, found: readonly string[], ttlSeconds: number): Promise<void> {
    const { allowed } = this.#applied;
    if (allowed === undefined) return;
    const { list, opened } = allowed;
    if (this.#sealed || this.#changing) throw new Error(`the policy of ${this.name} is changing`);
    const seconds = Math.min(Math.max(ttlSeconds, MINIMUM_OPEN_S) + GRACE_S, MAXIMUM_OPEN_S);
    const now = this.#deps.clock.monotonic();
    const wanted = this.#openingsFor(list, name, found).filter((element) => {
      const left = (opened.get(element) ?? now) - now;
      return left < (Math.min(ttlSeconds, MAXIMUM_OPEN_S) + 1) * 1_000;
    });
    for (const [element, until] of opened) if (until <= now) opened.delete(element);
    if (opened.size + wanted.length > MAXIMUM_OPENED) {
      throw new Error(`a sandbox may have ${MAXIMUM_OPENED} addresses that it found by name at a time`);
    }
    const opening = this.#renew(wanted, seconds);
    this.#underWay.add(opening);
    await opening.finally(() => this.#underWay.delete(opening));
    for (const element of wanted) opened.set(element, now + seconds * 1_000);
  }

  get #key(): string {
    return `"${this.#deps.names.linkPrefix}${this.number}" . ${this.address}`;
  }

  get #file(): string {
    return join(this.#deps.folder, `${this.name}.json`);
  }

  #withdrawing(): string {
    return `delete element ${this.#deps.names.table} networks { ${this.#key} }`;
  }

  #add(set: string, element: string): string {
    return `add element ${this.#deps.names.table} ${set} { ${element} }`;
  }

  #assigning({ kind }: NetworkPolicy): string {
    return this.#add("networks", `${this.#key} : goto ${kind satisfies Verdict}`);
  }

  async #change(policy: NetworkPolicy): Promise<void> {
    if (samePolicy(policy, this.#applied.policy) && !this.#isAhead) return;
    const allowed = policy.kind === "allow" ? await this.#newlyAllowed(policy) : undefined;
    this.#changing = true;
    try {
      await Promise.allSettled(this.#underWay);
      const allowing = allowed === undefined ? [] : this.#allowing(allowed);
      const lines = [...this.#forgetting(), this.#withdrawing(), this.#assigning(policy), ...allowing];
      await this.#deps.writer.write(lines);
      this.#applied = { policy, allowed };
      this.#isAhead = false;
    } finally {
      this.#changing = false;
    }
    if (policy.kind !== "allow") await this.forgetFile();
  }

  /** On disk when it resolves. */
  async #newlyAllowed(policy: AllowPolicy): Promise<Allowed> {
    const mark = this.#deps.random.bytes(4).readUInt32BE(0) || 1;
    const list = parseAllowList(policy.hosts);
    await this.#writeFile({ ...policy, mark });
    return { list, rows: this.#fixedRows(list, mark), opened: new Map() };
  }

  #allowing({ rows, opened }: Allowed): string[] {
    const now = this.#deps.clock.monotonic();
    const left = [...opened].map(([element, until]) => ({ element, seconds: Math.floor((until - now) / 1_000) }));
    return [
      ...rows.map(({ set, key, value }) => this.#add(set, value === undefined ? key : `${key} : ${value}`)),
      ...left.filter(({ seconds }) => seconds > 0).map(({ element, seconds }) => this.#opened(element, seconds).add),
    ];
  }

  /** Lines that remove what `#allowing` and `open` have added. */
  #forgetting(): string[] {
    const { allowed } = this.#applied;
    if (allowed === undefined) return [];
    const { table } = this.#deps.names;
    return [
      ...allowed.rows.map(({ set, key }) => `delete element ${table} ${set} { ${key} }`),
      // What has run out meanwhile cannot be deleted, and would undo the whole transaction: it is added to be there.
      ...[...allowed.opened.keys()].flatMap((element) => {
        const opened = this.#opened(element, MINIMUM_OPEN_S);
        return [opened.add, opened.remove];
      }),
    ];
  }

  #fixedRows(list: AllowList, mark: number): Row[] {
    return [
      { set: "marks", key: this.address, value: mark },
      { set: "live", key: `${this.address} . ${mark}` },
      ...list.fixed.map((range) =>
        range.port === undefined
          ? { set: "fixed_any", key: `${this.address} . ${formatRange(range)}` }
          : { set: "fixed_port", key: `${this.address} . ${formatRange(range)} . ${range.port}` },
      ),
    ];
  }

  #openingsFor(list: AllowList, name: string, found: readonly string[]): string[] {
    const ports = allowedPorts(list, name);
    return found
      .filter((address) => !isDenied(parseRange(address)!))
      .flatMap((address) =>
        ports === "all"
          ? [`named_any ${this.address} . ${address}`]
          : ports.map((port) => `named_port ${this.address} . ${address} . ${port}`),
      );
  }

  /** An element's time is set when it is added: it is added to be there, deleted, and added for the new time. */
  async #renew(openings: readonly string[], seconds: number): Promise<void> {
    const lines = openings.flatMap((opening) => {
      const { add, remove } = this.#opened(opening, seconds);
      return [add, remove, add];
    });
    await this.#deps.writer.write(lines);
  }

  #opened(opening: string, seconds: number): { add: string; remove: string } {
    const { table } = this.#deps.names;
    const [set, ...rest] = opening.split(" ");
    const key = rest.join(" ");
    return {
      add: `add element ${table} ${set} { ${key} timeout ${seconds}s }`,
      remove: `delete element ${table} ${set} { ${key} }`,
    };
  }

  async #writeFile(policy: PolicyOnDisk): Promise<void> {
    await mkdir(this.#deps.folder, { recursive: true });
    await writeFile(`${this.#file}.new`, JSON.stringify(policy));
    await rename(`${this.#file}.new`, this.#file);
  }
}
