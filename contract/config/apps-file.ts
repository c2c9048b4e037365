/** Reads colibri.apps.yaml, which names the folders of several apps to be deployed together. */
import { YamlDocument } from "./document.ts";
import type { Mistake } from "./mistakes.ts";
import { FieldReader } from "./reader.ts";
import { closest } from "./suggest.ts";

export type ParsedApps =
  | { readonly kind: "apps"; readonly apps: readonly ListedApp[] }
  | { readonly kind: "mistakes"; readonly mistakes: readonly Mistake[] };

export interface ListedApp {
  /** As it is written, relative to the file. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
}

const RIGHT = "a list of folders, such as [./shop, ./media]";
const MAXIMUM_APPS = 200;
const KEY = "apps";

export function parseAppsFile(text: string): ParsedApps {
  const document = new YamlDocument(text);
  const apps = document.isBroken ? [] : readApps(document);
  return document.isBroken ? { kind: "mistakes", mistakes: document.mistakes() } : { kind: "apps", apps };
}

function readApps(document: YamlDocument): ListedApp[] {
  const reader = new FieldReader(document);
  if (!reader.expect(document.root, "map", `a mapping with the key ${KEY}: ${RIGHT}`)) return [];
  const entries = reader.entries(document.root);
  for (const entry of entries) if (entry.key !== KEY) reader.mistakeAtKey(entry, unknownKey(entry.key));
  const list = entries.find((entry) => entry.key === KEY)?.value;
  if (list === undefined) {
    reader.mistake(document.root, `${KEY} is missing: write ${KEY}: and ${RIGHT}`, KEY);
    return [];
  }
  if (!reader.expect(list, "list", RIGHT)) return [];
  const items = reader.items(list);
  if (items.length === 0) reader.mistake(list, `is empty: write ${RIGHT}`);
  if (items.length > MAXIMUM_APPS) reader.mistake(list, `has more than ${MAXIMUM_APPS} apps`);
  return items.slice(0, MAXIMUM_APPS).map((item) => ({
    path: reader.text(item, "the path of an app's folder") ?? "",
    line: document.lineOf(item),
  }));
}

function unknownKey(key: string): string {
  if (key === "app" || key === "functions")
    return `belongs to an app's own colibri.yaml; here write ${KEY}: and ${RIGHT}`;
  return closest(key, [KEY]) === undefined
    ? `is no key of this file; known here: ${KEY}`
    : `is no key of this file; did you mean ${KEY}?`;
}
