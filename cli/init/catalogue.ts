/** The templates that come with Colibri: the folders under examples/ that have a template.json. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { closest } from "#contract/config/suggest.ts";
import { usageError } from "../failure.ts";

/** Says that a folder is a template; not copied. */
export const TEMPLATE_FILE = "template.json";
const LANGUAGES = ["nodejs", "typescript", "python"] as const;
export type Language = (typeof LANGUAGES)[number];
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = {
  nodejs: "JavaScript",
  typescript: "TypeScript",
  python: "Python",
};

/** What template.json says. Folders of the same `template` are one template in several languages. */
export interface Description {
  readonly template: string;
  readonly title: string;
  readonly language: Language;
  /** Place in the list. */
  readonly order: number;
}

export interface Variant extends Description {
  readonly folder: string;
}

export interface Template {
  readonly name: string;
  readonly title: string;
  readonly variants: readonly Variant[];
}

const EXAMPLES = fileURLToPath(new URL("../../examples", import.meta.url));

/** In the order of the list, languages in the order of LANGUAGES. */
export function readCatalogue(examples = EXAMPLES): Template[] {
  const byName = new Map<string, Variant[]>();
  for (const variant of readVariants(examples))
    byName.set(variant.template, [...(byName.get(variant.template) ?? []), variant]);
  return [...byName].map(([name, variants]) => ({ name, title: variants[0]!.title, variants }));
}

function readVariants(examples: string): Variant[] {
  const folders = readdirSync(examples, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders
    .map(({ name }) => join(examples, name))
    .filter((folder) => existsSync(join(folder, TEMPLATE_FILE)))
    .map((folder) => ({ ...(JSON.parse(readFileSync(join(folder, TEMPLATE_FILE), "utf8")) as Description), folder }))
    .sort((a, b) => a.order - b.order || LANGUAGES.indexOf(a.language) - LANGUAGES.indexOf(b.language));
}

/** @throws CliError naming what is near, or all. */
export function findTemplate(catalogue: readonly Template[], name: string): Template {
  const found = catalogue.find((template) => template.name === name);
  if (found) return found;
  const names = catalogue.map((template) => template.name);
  const near = closest(name, names);
  throw usageError(
    `There is no template "${name}"${near === undefined ? "" : `; perhaps ${near}`}.`,
    `Templates are ${names.join(", ")}.`,
    `A folder is written with a slash, as ./${name}; a Git repository by its URL.`,
  );
}

const SPELLINGS: Readonly<Record<string, Language>> = {
  node: "nodejs",
  javascript: "nodejs",
  js: "nodejs",
  ts: "typescript",
  py: "python",
};

/** The language that `given` names, which the template must have. */
export function findVariant(template: Template, given: string): Variant {
  const wanted = given.toLowerCase();
  const language = Object.hasOwn(SPELLINGS, wanted) ? SPELLINGS[wanted] : wanted;
  const found = template.variants.find((variant) => variant.language === language);
  if (found) return found;
  const has = template.variants.map((variant) => variant.language).join(" or ");
  throw usageError(`There is no template ${template.name} in "${given}": use --language ${has}.`);
}
