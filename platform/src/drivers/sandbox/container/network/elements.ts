/** What is in the table's sets and maps, read back: for an agent that takes over, and for what only the kernel counts down. */
import { type NetworkTools, run } from "./commands.ts";
import type { Names } from "./names.ts";

export type Verdict = "none" | "internet" | "allow";

export interface NetworkElement {
  readonly link: string;
  readonly address: string;
  readonly verdict: Verdict;
}

export interface Elements {
  readonly networks: readonly NetworkElement[];
  /** Interfaces on which forwarding was switched on by us. */
  readonly uplinks: readonly string[];
  /** Of the sets that hold rows per sandbox, each as nft wrote it. */
  readonly rows: readonly ElementRow[];
}

interface ElementRow {
  readonly set: string;
  /** The sandbox's. */
  readonly address: string;
  /** To write it with. */
  readonly key: string;
  /** Undefined for a row without an end. */
  readonly leftSeconds: number | undefined;
}

/** By the sandbox's address first. */
const PER_SANDBOX = new Set(["marks", "live", "fixed_any", "fixed_port", "named_any", "named_port"]);

/** Undefined when there is no table. */
export async function readElements(tools: NetworkTools, names: Names): Promise<Elements | undefined> {
  const tables = JSON.parse(await run(tools.nft, ["-j", "list", "tables"])) as NftOutput;
  if (!tables.nftables.some(({ table }) => table && `${table.family} ${table.name}` === names.table)) return undefined;
  const output = JSON.parse(await run(tools.nft, ["-j", "list", "table", ...names.table.split(" ")])) as NftOutput;
  const sets = output.nftables.flatMap(({ set, map }) => set ?? map ?? []);
  const elementsOf = (name: string) => sets.find((set) => set.name === name)?.elem ?? [];
  return {
    networks: elementsOf("networks").map(readNetwork),
    uplinks: elementsOf("uplinks").map(keyText),
    rows: sets.filter(({ name }) => PER_SANDBOX.has(name)).flatMap((set) => (set.elem ?? []).map(readRow(set.name))),
  };
}

/** Commands that remove the rows of these sandboxes. */
export function deletions(names: Names, elements: Elements, addresses: ReadonlySet<string>): string[] {
  const rows = elements.rows.filter((row) => addresses.has(row.address));
  return rows.flatMap(({ set, key, leftSeconds }) => {
    const remove = `delete element ${names.table} ${set} { ${key} }`;
    // What has run out meanwhile cannot be deleted, and would undo the whole transaction.
    return leftSeconds !== undefined ? [`add element ${names.table} ${set} { ${key} timeout 1m }`, remove] : [remove];
  });
}

/** Written by nft -j. */
interface NftOutput {
  readonly nftables: readonly {
    readonly table?: { readonly family: string; readonly name: string };
    readonly set?: NftSet;
    readonly map?: NftSet;
  }[];
}

interface NftSet {
  readonly name: string;
  readonly elem?: readonly NftElement[];
}

/** A map's elements are pairs. */
type NftElement = NftKey | readonly [NftKey, unknown];
type NftKey =
  | string
  | number
  | { readonly concat: readonly NftKey[] }
  | { readonly prefix: { readonly addr: string; readonly len: number } }
  | { readonly range: readonly NftKey[] }
  | { readonly elem: { readonly val: NftKey; readonly timeout?: number; readonly expires?: number } };

function readNetwork(element: NftElement): NetworkElement {
  const [key, verdict] = element as readonly [NftKey, { goto: { target: Verdict } }];
  const [link, address] = keyText(key).split(" . ");
  return { link: link!, address: address!, verdict: verdict.goto.target };
}

function readRow(set: string): (element: NftElement) => ElementRow {
  return (element) => {
    const bare = Array.isArray(element) ? (element[0] as NftKey) : (element as NftKey);
    const key = keyText(bare);
    const leftSeconds = typeof bare === "object" && "elem" in bare ? (bare.elem.expires ?? 0) : undefined;
    return { set, key, address: key.split(" . ")[0]!, leftSeconds };
  };
}

function keyText(element: NftElement): string {
  const key = element as NftKey;
  if (typeof key !== "object") return String(key);
  if ("elem" in key) return keyText(key.elem.val);
  if ("concat" in key) return key.concat.map(keyText).join(" . ");
  if ("prefix" in key) return `${key.prefix.addr}/${key.prefix.len}`;
  return key.range.map(keyText).join("-");
}
