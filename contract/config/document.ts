/**
 * Owns: the YAML of one file, and the mistakes found in it so far. Does not own: what keys mean (app-config.ts).
 *
 * 1. Every mistake has a place in the text.
 * 2. Aliases are followed only where a value is asked for, and what was read is counted: a file can't grow by naming itself.
 */
import {
  type Alias,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import type { Mistake } from "./mistakes.ts";

const MAXIMUM_BYTES = 1024 ** 2;
const MAXIMUM_MISTAKES = 50;
/** Values that may be read in all: more than an honest file of the largest size has. */
const MAXIMUM_READ = 200_000;
/** Errors after which the rest of the file is still understood. */
const STANDING_ALONE: readonly string[] = ["DUPLICATE_KEY", "MULTIPLE_DOCS"];

/** A value of the file: where it stands, and the key that leads to it. */
export interface Value {
  readonly node: Node | undefined;
  readonly path: string;
  readonly offset: number;
}

export interface Entry {
  readonly key: string;
  readonly keyOffset: number;
  readonly value: Value;
}

export type Written =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | { readonly kind: "number" | "boolean"; readonly text: string }
  | { readonly kind: "nothing" | "map" | "list" };

export class YamlDocument {
  readonly root: Value;
  readonly #lines = new LineCounter();
  readonly #mistakes: Mistake[] = [];
  readonly #aliases: Map<Alias, Node>;
  #unshown = 0;
  #read = 0;

  constructor(text: string) {
    const tooLarge = Buffer.byteLength(text) > MAXIMUM_BYTES;
    const document = parseDocument(tooLarge ? "" : text, {
      lineCounter: this.#lines,
      prettyErrors: false,
      stringKeys: true,
      logLevel: "error",
    });
    if (tooLarge)
      this.mistake(0, "", `the file is larger than ${MAXIMUM_BYTES} bytes: a configuration is not that long`);
    for (const error of telling(document.errors)) this.#syntaxMistake(error, document.errors, text);
    for (const warning of document.warnings) this.mistake(warning.pos[0], "", warning.message);
    this.#aliases = document.errors.length > 0 ? new Map() : this.#targets(document.contents);
    this.root = { node: document.contents ?? undefined, path: "", offset: 0 };
  }

  get isBroken(): boolean {
    return this.#mistakes.length > 0;
  }

  mistake(offset: number, path: string, message: string): void {
    if (this.#mistakes.length >= MAXIMUM_MISTAKES) {
      this.#unshown++;
      return;
    }
    const { line, col } = this.#lines.linePos(offset);
    this.#mistakes.push({
      line: Math.max(1, line),
      column: Math.max(1, col),
      path: cut(path, 200),
      message: cut(message, 500),
    });
  }

  #syntaxMistake(error: YAMLError, all: readonly YAMLError[], text: string): void {
    const comma = missingComma(error, all, text);
    if (comma === undefined) this.mistake(error.pos[0], "", syntaxMessage(error));
    else this.mistake(comma, "", "a comma is missing here: the entries of { } and [ ] stand between commas");
  }

  /** From 1. */
  lineOf(value: Value): number {
    return Math.max(1, this.#lines.linePos(value.offset).line);
  }

  /** In the order of the text. */
  mistakes(): readonly Mistake[] {
    const sorted = this.#mistakes.toSorted((a, b) => a.line - b.line || a.column - b.column);
    const last = sorted.at(-1);
    if (last === undefined || this.#unshown === 0) return sorted;
    return [...sorted, { ...last, path: "", message: `and ${this.#unshown} more mistakes` }];
  }

  /** The entries of a mapping, each key once, those of `<<` included where they are not overridden. */
  entries(value: Value): readonly Entry[] {
    const node = this.#resolve(value.node);
    if (!isMap(node)) return [];
    const own = new Map<string, Entry>();
    const merged: Node[] = [];
    for (const pair of node.items as Pair<Node, Node | null>[]) {
      const key = isScalar(pair.key) ? String(pair.key.value) : "";
      if (isMergeKey(pair)) merged.push(...this.#mergedMaps(pair.value, value.path));
      else if (this.#count(pair.key)) own.set(key, entryOf(key, pair, value));
    }
    for (const map of merged) {
      const inherited = this.entries({ ...value, node: map });
      for (const entry of inherited) if (!own.has(entry.key)) own.set(entry.key, entry);
    }
    return [...own.values()];
  }

  items(value: Value): readonly Value[] {
    const node = this.#resolve(value.node);
    if (!isSeq(node)) return [];
    return node.items
      .filter((item) => this.#count(item as Node))
      .map((item, index) => valueAt(item as Node, `${value.path}[${index}]`, value.offset));
  }

  /** What is written at a value. Numbers and booleans as they are spelled. */
  written(value: Value): Written {
    const node = this.#resolve(value.node);
    if (isMap(node)) return { kind: "map" };
    if (isSeq(node)) return { kind: "list" };
    if (!isScalar(node) || node.value === null || node.value === undefined) return { kind: "nothing" };
    const { value: content, source } = node;
    if (typeof content === "string") return { kind: "text", text: content, quoted: node.type !== "PLAIN" };
    const kind = typeof content === "boolean" ? "boolean" : "number";
    return { kind, text: source ?? String(content) };
  }

  /** Nothing or a map: a map merged into itself would never end. */
  #mergedMaps(node: Node | null, path: string): Node[] {
    const target = this.#resolve(node ?? undefined);
    const maps = (isSeq(target) ? target.items.map((item) => this.#resolve(item as Node)) : [target]).filter(isMap);
    const plain = maps.filter((map) => !map.items.some((pair) => isMergeKey(pair as Pair<Node, Node | null>)));
    const expected = isSeq(target) ? target.items.length : 1;
    if (plain.length < expected) {
      const message = "must name a mapping that has no << itself, such as *defaults";
      this.mistake(offsetOf(node ?? undefined) ?? 0, path === "" ? "<<" : `${path}.<<`, message);
    }
    return plain;
  }

  /** What each alias stands for: the last anchor of its name before it. */
  #targets(contents: Node | null): Map<Alias, Node> {
    const anchors = new Map<string, Node>();
    const targets = new Map<Alias, Node>();
    visit(contents, {
      Node: (_key, node) => {
        if (isAlias(node)) {
          const target = anchors.get(node.source);
          if (target !== undefined) targets.set(node, target);
          else
            this.mistake(
              offsetOf(node) ?? 0,
              "",
              `there is no &${node.source} before this *${node.source}: a text that begins with * must be in quotes`,
            );
        } else if ((isScalar(node) || isCollection(node)) && node.anchor) anchors.set(node.anchor, node as Node);
      },
    });
    return targets;
  }

  #resolve(node: Node | undefined): Node | undefined {
    return isAlias(node) ? this.#aliases.get(node) : node;
  }

  #count(node: Node): boolean {
    if (++this.#read <= MAXIMUM_READ) return true;
    if (this.#read === MAXIMUM_READ + 1)
      this.mistake(offsetOf(node) ?? 0, "", "the file repeats itself too often by aliases");
    return false;
  }
}

function isMergeKey(pair: Pair<Node, Node | null>): boolean {
  return isScalar(pair.key) && pair.key.value === "<<" && pair.key.type === "PLAIN";
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

function entryOf(key: string, pair: Pair<Node, Node | null>, parent: Value): Entry {
  const keyOffset = offsetOf(pair.key) ?? parent.offset;
  const path = parent.path === "" ? key : `${parent.path}.${key}`;
  return { key, keyOffset, value: valueAt(pair.value ?? undefined, path, keyOffset) };
}

function valueAt(node: Node | undefined, path: string, around: number): Value {
  const isEmpty = isScalar(node) && node.value === null && node.source === "";
  return { node, path, offset: (isEmpty ? undefined : offsetOf(node)) ?? around };
}

function offsetOf(node: Node | undefined): number | undefined {
  return node?.range?.[0];
}

/** After one misunderstood token all that follows is misunderstood too: of such errors only the first tells something. */
function telling(errors: readonly YAMLError[]): YAMLError[] {
  const first = errors.find((error) => !STANDING_ALONE.includes(error.code));
  const limit = first?.pos[0] ?? Number.POSITIVE_INFINITY;
  return errors.filter((error) => error === first || (STANDING_ALONE.includes(error.code) && error.pos[0] < limit));
}

/** Where one belongs, if that is what is wrong with the first of the errors: behind what comes before what YAML did not expect. */
function missingComma(first: YAMLError, all: readonly YAMLError[], text: string): number | undefined {
  const { code, message, pos } = first;
  const isInFlow = all.some((error) => error.code === "BLOCK_IN_FLOW");
  const before = text.slice(0, pos[0]).trimEnd();
  const [line = ""] = /^.*/.exec(text.slice(pos[0])) ?? [];
  switch (code) {
    case "BLOCK_IN_FLOW": {
      // The value of an entry and the key of the next are taken for one, such as `nodejs handler` in `nodejs handler: index.mjs`.
      const value = /^([^,[\]{}:]*\S)\s+[^\s,[\]{}:]+:(?:\s|$)/.exec(line)?.[1];
      return value === undefined ? undefined : pos[0] + value.length;
    }
    case "MULTILINE_IMPLICIT_KEY":
      return isInFlow ? pos[0] + line.trimEnd().length : undefined;
    case "MISSING_CHAR":
      return message.startsWith("Missing ,") ? before.length : undefined;
    case "UNEXPECTED_TOKEN":
      return isInFlow || (/flow-map-start/.test(message) && before.endsWith("}")) ? before.length : undefined;
    default:
      return undefined;
  }
}

function syntaxMessage(error: YAMLError): string {
  switch (error.code) {
    case "TAB_AS_INDENT":
      return "a tab indents this line: YAML takes spaces only";
    case "DUPLICATE_KEY":
      return "this key is given twice in the same mapping: remove one of the two";
    case "BAD_INDENT":
      if (error.message.startsWith("Flow "))
        return "a [ or { before this place is not closed, or what is in it not indented";
      return `the indentation is wrong: keys of one mapping start in the same column (${error.message})`;
    case "BLOCK_IN_FLOW":
      return "within { } or [ ] a mapping needs { } of its own, with a comma between its entries";
    case "MULTIPLE_DOCS":
      return "a second document begins: the file must hold one, without ---";
    case "BLOCK_AS_IMPLICIT_KEY":
    case "MULTILINE_IMPLICIT_KEY":
      return `this does not fit here: is the line before without its ":", or indented differently? (${error.message})`;
    case "RESOURCE_EXHAUSTION":
      return "this is nested too deeply";
    case "UNEXPECTED_TOKEN":
      if (!/flow-(map|seq)-(start|end)|scalar at node end/.test(error.message))
        return `this is not YAML: ${error.message}`;
      return `a text with brackets or quotes in it must be in quotes as a whole, such as "GET /thumb/{id}" (${error.message})`;
    default:
      return `this is not YAML: ${error.message}`;
  }
}
