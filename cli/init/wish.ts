/** What is to be made and where: from the command line, and from questions for what it leaves open. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join, relative, resolve } from "node:path";
import { isName, NAME_RULE } from "#contract/names.ts";
import { CliError, usageError } from "../failure.ts";
import { findTemplate, findVariant, LANGUAGE_NAMES, type Template, type Variant } from "./catalogue.ts";
import { type Origin, parseOrigin } from "./origin.ts";
import { type Asking, ask, select } from "./prompt.ts";

export interface InitOptions {
  readonly template?: string;
  readonly language?: string;
  readonly name?: string;
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly list?: boolean;
  readonly json?: boolean;
}

export interface Wish {
  readonly catalogue: readonly Template[];
  /** Undefined where nobody can be asked, or wants to be. */
  readonly asking: Asking | undefined;
  readonly options: InitOptions;
  readonly folder: string | undefined;
  readonly cwd: string;
}

export interface Picked {
  readonly origin: Exclude<Origin, { kind: "named" }>;
  /** For messages. */
  readonly shown: string;
  /** Of a template of ours. */
  readonly variant?: Variant;
}

export interface Place {
  readonly name: string;
  readonly folder: string;
  readonly shown: string;
}

export async function chooseTemplate(wish: Wish): Promise<Picked> {
  const { catalogue, options } = wish;
  refuseMissing(wish);
  const origin = options.template === undefined ? undefined : parseOrigin(options.template, wish.cwd);
  if (origin !== undefined && origin.kind !== "named") return pickForeign(origin, options);
  const template = origin === undefined ? await chooseNamed(wish) : findTemplate(catalogue, origin.name);
  const variant = await chooseVariant(wish, template);
  const language = template.variants.length > 1 ? ` (${LANGUAGE_NAMES[variant.language]})` : "";
  return { origin: { kind: "folder", folder: variant.folder }, shown: `template ${template.name}${language}`, variant };
}

/** All that is missing at once, where nobody can be asked. */
function refuseMissing({ asking, options, folder, catalogue }: Wish): void {
  if (asking !== undefined || options.yes) return;
  const template = catalogue.find(({ name }) => name === options.template);
  const missing = [
    ...(options.template === undefined ? ["--template <name, folder or Git URL>"] : []),
    ...(template && template.variants.length > 1 && options.language === undefined
      ? [`--language <${template.variants.map(({ language }) => language).join(" or ")}>`]
      : []),
    ...(folder === undefined && options.name === undefined ? ["the folder"] : []),
  ];
  if (missing.length === 0) return;
  throw usageError(
    `Nobody can be asked here, and missing ${missing.length === 1 ? "is" : "are"}: ${missing.join(", ")}.`,
    "For example: npx colibri init shop --template hello --language nodejs",
    "`npx colibri init --list` shows the templates; --yes takes the first choice of everything.",
  );
}

function pickForeign(origin: Picked["origin"], { template, language }: InitOptions): Picked {
  if (language !== undefined)
    throw usageError(`--language is for the templates of Colibri: ${template} is in the language it is in.`);
  if (origin.kind === "folder" && !statSync(origin.folder, { throwIfNoEntry: false })?.isDirectory())
    throw new CliError(`There is no folder ${template} to take as a template.`);
  return { origin, shown: template! };
}

function chooseNamed({ asking, catalogue }: Wish): Promise<Template> | Template {
  const choices = catalogue.map((template) => ({ value: template, label: template.name, detail: template.title }));
  return asking === undefined ? catalogue[0]! : select(asking, "Template", choices);
}

function chooseVariant({ asking, options }: Wish, template: Template): Promise<Variant> | Variant {
  if (options.language !== undefined) return findVariant(template, options.language);
  const { variants } = template;
  if (asking === undefined || variants.length === 1) return variants[0]!;
  const choices = variants.map((variant) => ({ value: variant, label: LANGUAGE_NAMES[variant.language] }));
  return select(asking, "Language", choices);
}

export async function placeFor(wish: Wish, { variant, origin }: Picked): Promise<Place> {
  const { asking, options, cwd } = wish;
  if (options.name !== undefined && !isName(options.name)) throw usageError(nameProblem(`--name "${options.name}"`));
  // Not a template's own name: an app of that name may be deployed already, from our examples.
  const proposed = variant ? `my-${variant.template}` : nameFrom(sourceOf(origin)) || "app";
  if (wish.folder === undefined) {
    const given = options.name ?? (asking ? await askFolder(asking, cwd, proposed) : freeName(cwd, proposed));
    return place(cwd, given, nameOf(cwd, given));
  }
  const folder = resolve(cwd, wish.folder);
  checkFolder(folder, wish.folder);
  const name = options.name ?? nameFrom(folder);
  if (name === "")
    throw usageError(`The folder's name "${basename(folder)}" makes no name for an app: give one with --name.`);
  return place(cwd, wish.folder, name);
}

/** A name, or a path whose last part makes one. */
async function askFolder(asking: Asking, cwd: string, proposed: string): Promise<string> {
  const check = (answer: string) => {
    if (!isPath(answer) && !isName(answer)) return nameProblem(`"${answer}"`);
    if (nameOf(cwd, answer) === "") return `The last part of ${answer} makes no name for an app.`;
    return isTaken(atHome(cwd, answer)) ? `There is ${answer} already, with files in it.` : undefined;
  };
  const question = "Name of the app and its folder, or a path";
  const answer = await ask(asking, { question, fallback: freeName(cwd, proposed), check });
  return isPath(answer) ? atHome(cwd, answer) : answer;
}

function isPath(answer: string): boolean {
  return answer.includes("/") || /^[.~]/.test(answer);
}

/** No shell has looked at it. */
function atHome(cwd: string, path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : resolve(cwd, path);
}

/** Of the app in the folder; empty where its name makes none. */
function nameOf(cwd: string, given: string): string {
  return isName(given) ? given : nameFrom(atHome(cwd, given));
}

function nameProblem(what: string): string {
  return `${what} is no name: it must be ${NAME_RULE}.`;
}

/** `name`, or the first of `name-2`, `name-3`, … that is free. */
function freeName(cwd: string, name: string): string {
  let free = name;
  for (let next = 2; isTaken(resolve(cwd, free)); next++) free = `${name}-${next}`;
  return free;
}

function isTaken(folder: string): boolean {
  const found = statSync(folder, { throwIfNoEntry: false });
  return found !== undefined && (!found.isDirectory() || readdirSync(folder).length > 0);
}

function checkFolder(folder: string, given: string): void {
  if (existsSync(folder) && !statSync(folder).isDirectory())
    throw new CliError(`${given} is not a folder: name one that is, or one to be made.`);
}

/** The last part of a path, made a name; empty where that can't be. */
function nameFrom(path: string): string {
  const name = basename(path)
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "");
  return isName(name) ? name : "";
}

function sourceOf(origin: Picked["origin"]): string {
  return origin.kind === "folder" ? origin.folder : (origin.subfolder ?? origin.address.replace(/\.git$/, ""));
}

function place(cwd: string, given: string, name: string): Place {
  const folder = resolve(cwd, given);
  const below = relative(cwd, folder);
  const shown = below === "" ? "." : below.startsWith("..") ? folder : below;
  return { name, folder, shown };
}
