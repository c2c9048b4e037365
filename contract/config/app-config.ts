/** Reads colibri.yaml, the configuration of an app. What it may say is in keys.ts and docs/configuration.md. */
import type { FunctionConfig } from "../api/resources.ts";
import { isName, NAME_RULE } from "../names.ts";
import { INTERNET, type NetworkPolicy } from "../network/policy.ts";
import { type Entry, type Value, YamlDocument } from "./document.ts";
import { readFunction } from "./function-config.ts";
import { keysBelow } from "./keys.ts";
import type { Mistake } from "./mistakes.ts";
import { readNetwork } from "./network.ts";
import { FieldReader } from "./reader.ts";

export interface AppConfig {
  readonly app: string;
  /** What its sandboxes may reach; `internet` where the file says nothing. */
  readonly network: NetworkPolicy;
  readonly functions: Readonly<Record<string, AppFunction>>;
}

export interface AppFunction {
  /** The folder of its code, relative to the configuration file, with forward slashes; `.` is the file's own. */
  readonly source: string;
  readonly config: FunctionConfig;
}

export interface ParseOptions {
  /** Whether there is a file or folder at a path relative to the configuration file. */
  readonly exists: (path: string) => boolean;
}

/** What is read, but not as its writer may expect. */
export interface ConfigWarning {
  readonly code: "timers-not-fired";
  readonly text: string;
}

export type ParsedConfig =
  | { readonly kind: "config"; readonly config: AppConfig; readonly warnings: readonly ConfigWarning[] }
  | { readonly kind: "mistakes"; readonly mistakes: readonly Mistake[] };

export const MAXIMUM_FUNCTIONS = 500;
const FUNCTION_KEYS = keysBelow("functions.*");

/** All mistakes at once, in the order of the text. */
export function parseAppConfig(text: string, options: ParseOptions): ParsedConfig {
  const document = new YamlDocument(text);
  const warnings: ConfigWarning[] = [];
  if (document.isBroken) return { kind: "mistakes", mistakes: document.mistakes() };
  const config = readApp(document, options, warnings);
  if (document.isBroken) return { kind: "mistakes", mistakes: document.mistakes() };
  return { kind: "config", config, warnings };
}

function readApp(document: YamlDocument, options: ParseOptions, warnings: ConfigWarning[]): AppConfig {
  const reader = new FieldReader(document);
  const root = document.root;
  if (!reader.expect(root, "map", "a mapping with the keys app and functions"))
    return { app: "", network: INTERNET, functions: {} };
  const fields = reader.fields(root, "");
  const app = readAppName(reader, fields.get("app"), root);
  const env = reader.environment(fields.get("env")?.value);
  const network = readNetwork(reader, fields.get("network"));
  const entries = readFunctionEntries(reader, fields.get("functions"), root);
  const context = { env, exists: options.exists, claims: new Map<string, string>() };
  const functions = entries.map((entry): [string, AppFunction] => [entry.key, readFunction(reader, entry, context)]);
  warnings.push(...warningsOf(functions));
  return { app, network, functions: Object.fromEntries(functions) };
}

function readAppName(reader: FieldReader, field: Entry | undefined, root: Value): string {
  if (field === undefined) {
    reader.mistake(root, "app is missing: write app: and a name, such as app: shop", "app");
    return "";
  }
  const name = reader.text(field.value, "a name such as shop") ?? "";
  if (name !== "" && !isName(name)) reader.mistake(field.value, nameProblem(name));
  return name;
}

function readFunctionEntries(reader: FieldReader, field: Entry | undefined, root: Value): readonly Entry[] {
  const right = "a mapping from each function's name to its configuration";
  if (field === undefined) {
    reader.mistake(root, `functions is missing: write functions: and below it ${right}`, "functions");
    return [];
  }
  if (!reader.expect(field.value, "map", right)) return [];
  const entries = reader.entries(field.value);
  if (entries.length === 0) reader.mistake(field.value, `is empty: write ${right}`);
  if (entries.length > MAXIMUM_FUNCTIONS) reader.mistake(field.value, `has more than ${MAXIMUM_FUNCTIONS} functions`);
  const fields = entries.filter((entry) => isField(reader, entry));
  if (fields.length > 0) {
    reader.mistakeAtKey(fields[0]!, underIndented(entries, fields));
    return [];
  }
  for (const entry of entries) if (!isName(entry.key)) reader.mistakeAtKey(entry, nameProblem(entry.key));
  return entries.slice(0, MAXIMUM_FUNCTIONS);
}

/** A key of a function where a function's name should stand. A function may be called so: then it has keys of its own. */
function isField(reader: FieldReader, { key, value }: Entry): boolean {
  return FUNCTION_KEYS.includes(key) && !reader.entries(value).some((below) => FUNCTION_KEYS.includes(below.key));
}

function underIndented(entries: readonly Entry[], fields: readonly Entry[]): string {
  const [first, ...others] = fields.map(({ key }) => key);
  const so = others.length === 0 ? "" : `, and so ${others.length === 1 ? "is" : "are"} ${others.join(", ")}`;
  const them = others.length === 0 ? "it" : "them";
  const above = entries[entries.indexOf(fields[0]!) - 1];
  const right =
    above === undefined
      ? `write the function's name and a colon above, and indent ${them} further`
      : `indent ${them} further, under ${above.key.slice(0, 63)}`;
  return `is no function: ${first} is a key of a function${so}; ${right}`;
}

function nameProblem(name: string): string {
  const meant = name
    .slice(0, 63)
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  const suggestion = isName(meant) ? `; perhaps ${meant}` : "";
  return `${JSON.stringify(name.slice(0, 80))} is not a name: it must be ${NAME_RULE}${suggestion}`;
}

function warningsOf(functions: readonly (readonly [string, AppFunction])[]): ConfigWarning[] {
  return functions
    .filter(([, { config }]) => config.policy.triggers.some((trigger) => "timer" in trigger))
    .map(([name]) => ({
      code: "timers-not-fired",
      text: `functions.${name}.triggers: timers are kept but not fired by this version`,
    }));
}
