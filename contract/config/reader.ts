import type { Entry, Value, Written, YamlDocument } from "./document.ts";
import { environmentBytes, MAXIMUM_ENVIRONMENT_BYTES, MAXIMUM_VARIABLES, variableProblem } from "./environment.ts";
import { KEYS, keysBelow, placesOf, type QuantityPath, quantityKey } from "./keys.ts";
import { closest } from "./suggest.ts";
import { formatDuration, formatSize, parseDuration, parseSize, type Quantity } from "./units.ts";

type Kind = Written["kind"];
const KINDS: Readonly<Record<Kind, string>> = {
  text: "text",
  number: "a number",
  boolean: "true or false",
  nothing: "nothing",
  map: "a mapping",
  list: "a list",
};

/** Top-level keys for anchors and notes. */
const FREE_KEY = /^x-/;

/** Reads values by what they must be; what they are not becomes a mistake, and undefined. */
export class FieldReader {
  readonly #document: YamlDocument;

  constructor(document: YamlDocument) {
    this.#document = document;
  }

  mistake(value: Value, message: string, path = value.path): void {
    this.#document.mistake(value.offset, path, message);
  }

  /** `below` is a key that is missing in the entry. */
  mistakeAtKey(entry: Entry, message: string, below?: string): void {
    const path = below === undefined ? entry.value.path : `${entry.value.path}.${below}`;
    this.#document.mistake(entry.keyOffset, path, message);
  }

  /** What is written at a value as text, without judging it. */
  peek(value: Value): string {
    const written = this.#document.written(value);
    return "text" in written ? written.text : "";
  }

  /** Whether a value is of a kind; `right` says what it must be. */
  expect(value: Value, kind: Kind, right: string): boolean {
    const written = this.#document.written(value);
    if (written.kind === kind) return true;
    this.mistake(value, `must be ${right}, not ${shown(written)}`);
    return false;
  }

  entries(value: Value): readonly Entry[] {
    return this.#document.entries(value);
  }

  items(value: Value): readonly Value[] {
    return this.#document.items(value);
  }

  /** The known keys of a mapping. `place` is its path in the table of keys. */
  fields(value: Value, place: string): ReadonlyMap<string, Entry> {
    const known = keysBelow(place);
    const entries = this.entries(value);
    const unknown = entries.filter(({ key }) => !known.includes(key) && !(place === "" && FREE_KEY.test(key)));
    for (const entry of unknown) this.#refuseUnknown(entry, place, known);
    return new Map(entries.map((entry) => [entry.key, entry]));
  }

  /** The known keys of a mapping that may be left out. */
  optionalFields(field: Entry | undefined, place: string): ReadonlyMap<string, Entry> {
    if (field === undefined) return new Map();
    const example = keysBelow(place)[0] ?? "";
    return this.expect(field.value, "map", `a mapping such as { ${example}: … }`)
      ? this.fields(field.value, place)
      : new Map();
  }

  text(value: Value, right: string): string | undefined {
    const written = this.#document.written(value);
    if (written.kind === "text" && written.text !== "") return written.text;
    this.mistake(value, `must be ${right}, not ${written.kind === "text" ? "empty" : shown(written)}`);
    return undefined;
  }

  /** One of a few words. */
  choice<const C extends string>(value: Value, choices: readonly C[]): C | undefined {
    const text = this.text(value, choices.join(" or "));
    const chosen = choices.find((choice) => choice === text);
    if (text !== undefined && chosen === undefined)
      this.mistake(value, `must be ${choices.join(" or ")}, not ${quoted(text)}`);
    return chosen;
  }

  /**
   * A size, duration or number as the table of keys has it, or its default.
   * @param word that may stand in its place
   */
  quantity(field: Entry | undefined, path: QuantityPath, word?: string): number {
    const key = quantityKey(path);
    if (field === undefined) return key.default;
    const format = { size: formatSize, duration: formatDuration, integer: String }[
      key.type as "size" | "duration" | "integer"
    ];
    const range = `${format(key.minimum)} to ${format(key.maximum)}`;
    const orWord = word === undefined ? "" : `, or ${word}`;
    const right = `from ${range}, such as ${format(key.default)}${orWord}`;
    const amount = this.#amount(field.value, key.type, right, orWord);
    if (amount === undefined) return key.default;
    if (amount >= key.minimum && amount <= key.maximum) return amount;
    this.mistake(field.value, `is out of range: it must be from ${range}${orWord}`);
    return key.default;
  }

  #amount(value: Value, type: string, right: string, orWord: string): number | undefined {
    const written = this.#document.written(value);
    const isText = written.kind === "text" || written.kind === "number";
    const parsed = isText && written.text !== "" ? parseAs(type, written.text, written.kind) : undefined;
    if (parsed?.kind === "quantity") return parsed.value;
    const what = type === "integer" ? "a whole number" : `a ${type}`;
    const message = parsed === undefined ? `must be ${what} ${right}, not ${shown(written)}` : parsed.message + orWord;
    this.mistake(value, message);
    return undefined;
  }

  /** Names and values of variables. Numbers and booleans are taken as they are spelled. */
  environment(value: Value | undefined): Readonly<Record<string, string>> {
    if (value === undefined || !this.expect(value, "map", "a mapping from names to values, such as { REGION: north }"))
      return {};
    const entries = this.entries(value);
    if (entries.length > MAXIMUM_VARIABLES) this.mistake(value, `has more than ${MAXIMUM_VARIABLES} variables`);
    const variables = entries.slice(0, MAXIMUM_VARIABLES).map((entry) => [entry.key, this.#variable(entry)] as const);
    const environment: Readonly<Record<string, string>> = Object.fromEntries(variables);
    const bytes = environmentBytes(environment);
    if (bytes > MAXIMUM_ENVIRONMENT_BYTES)
      this.mistake(value, `has ${bytes} bytes, allowed are ${MAXIMUM_ENVIRONMENT_BYTES}`);
    return environment;
  }

  #variable(entry: Entry): string {
    const written = this.#document.written(entry.value);
    if (!("text" in written)) {
      const right = written.kind === "nothing" ? 'write "" for an empty value' : "write it as text, in quotes";
      this.mistakeAtKey(entry, `must be text, not ${shown(written)}: ${right}`);
      return "";
    }
    const problem = variableProblem(entry.key, written.text);
    if (problem !== undefined) this.mistakeAtKey(entry, problem);
    return written.text;
  }

  #refuseUnknown(entry: Entry, place: string, known: readonly string[]): void {
    const meant = closest(entry.key, known) ?? nearestBelow(entry.key, place);
    const right = placesOf(entry.key)[0]?.replaceAll("*", "<name>");
    const elsewhere = right === entry.key ? "the top level of this file, for the whole app" : right;
    const hint =
      elsewhere !== undefined && !known.includes(meant ?? "")
        ? `it belongs to ${elsewhere}`
        : meant !== undefined
          ? `did you mean ${meant}?`
          : `known here: ${known.join(", ")}`;
    this.mistakeAtKey(entry, `is no key of this file; ${hint}`);
  }
}

/** The key deeper down that was probably meant, such as `scaling.keepAlive`. */
function nearestBelow(key: string, place: string): string | undefined {
  const prefix = place === "" ? "" : `${place}.`;
  const names = new Map(
    KEYS.map(({ path }): string => path)
      .filter((path) => path.startsWith(prefix) && /^\w+\.\w+$/.test(path.slice(prefix.length)))
      .map((path) => [path.slice(path.lastIndexOf(".") + 1), path.slice(prefix.length)]),
  );
  const meant = closest(key.replace(/[-_]/g, ""), [...names.keys()]);
  return meant && names.get(meant);
}

function parseAs(type: string, text: string, kind: Kind): Quantity {
  if (type === "size") return parseSize(text);
  if (type === "duration") return parseDuration(text);
  if (kind === "number" && /^\d+$/.test(text)) return { kind: "quantity", value: Number(text) };
  const right = /^\d+$/.test(text) ? `write it without quotes: ${text}` : "write digits only";
  return { kind: "wrong", message: `must be a whole number, not ${quoted(text)}: ${right}` };
}

function shown(written: Written): string {
  return "text" in written ? quoted(written.text) : KINDS[written.kind];
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
