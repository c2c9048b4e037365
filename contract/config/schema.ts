/**
 * colibri.yaml as JSON Schema (draft-07, which editors speak), for completion, hover and marks while it is written. What a schema
 * can't say, such as whether a folder exists or whether two functions claim the same path, the parser alone says.
 */
import { NAME, NAME_RULE } from "../names.ts";
import { MAXIMUM_HOSTS } from "../network/policy.ts";
import { MAXIMUM_FUNCTIONS } from "./app-config.ts";
import { MAXIMUM_VARIABLES, VARIABLE } from "./environment.ts";
import { MAXIMUM_INSTALL_SCRIPTS, MAXIMUM_TRIGGERS, PACKAGE_NAME } from "./function-config.ts";
import { RUNTIME_FAMILIES, type RuntimeFamily } from "./handler.ts";
import { KEYS, type Key, keysBelow } from "./keys.ts";
import { MEANINGS } from "./meanings.ts";
import {
  ALLOWED_HOST_PATTERN,
  DURATION_OR_NEVER_PATTERN,
  DURATION_PATTERN,
  HOST_PATTERN,
  HTTP_PATTERN,
  SIZE_PATTERN,
  TIMER_PATTERN,
} from "./patterns.ts";
import { NEVER } from "./scaling.ts";
import { DURATIONS, formatDuration, formatSize, SIZES } from "./units.ts";

type Json = Readonly<Record<string, unknown>>;
type Path = (typeof KEYS)[number]["path"];

const FN = "functions.*";
const TRIGGER = `${FN}.triggers[]`;
const NAMES = RUNTIME_FAMILIES.map(({ name }) => name);
const VARIABLE_NAME = VARIABLE.source.replace("^", "^(?![Cc][Oo][Ll][Ii][Bb][Rr][Ii]_)");
const ENV: Json = { propertyNames: { pattern: VARIABLE_NAME }, maxProperties: MAXIMUM_VARIABLES };
const HANDLER = "^(?![/\\\\])(?!(?:[^#]*[/\\\\])?\\.\\.(?:[/\\\\#]|$))[^#\\u0000]+(?:#[A-Za-z_$][\\w$]*)?$";

/** What a key's type does not tell. */
const FORMS: Partial<Record<Path, Json>> = {
  app: { pattern: NAME.source, examples: ["shop"], ...says(`Write ${NAME_RULE}.`) },
  env: { ...ENV, examples: [{ REGION: "north" }] },
  "env.*": { type: ["string", "number", "boolean"], minLength: 0, examples: ["north"] },
  network: {
    default: "internet",
    examples: ["none", { allow: ["example.com", "*.example.com"] }],
    ...says("Write internet, none, or a mapping such as { allow: [example.com] }."),
  },
  "network.allow": {
    items: {
      type: "string",
      pattern: ALLOWED_HOST_PATTERN,
      ...says("Write a name, *.name, an IPv4 address or a range of them; a :port may follow."),
    },
    minItems: 1,
    maxItems: MAXIMUM_HOSTS,
    examples: [["example.com", "*.example.com", "203.0.113.0/24", "api.example.com:443"]],
  },
  functions: { propertyNames: { pattern: NAME.source }, minProperties: 1, maxProperties: MAXIMUM_FUNCTIONS },
  [FN]: {
    required: ["runtime"],
    allOf: RUNTIME_FAMILIES.map(familyRules),
    defaultSnippets: RUNTIME_FAMILIES.map(({ name, handlers }) => ({
      label: `a ${name} function`,
      body: { runtime: name, handler: stop(1, handlers[0]!) },
    })),
  },
  [`${FN}.runtime`]: {
    anyOf: [{ enum: NAMES }, { pattern: runtimePattern(NAMES) }],
    examples: NAMES,
    ...says(`Write one of ${NAMES.join(", ")}; a version may follow.`),
  },
  [`${FN}.source`]: { pattern: "^(?![/\\\\]|[A-Za-z]:)[^\\u0000]+$", examples: ["./thumbnail"] },
  [`${FN}.handler`]: {
    pattern: HANDLER,
    maxLength: 512,
    ...says("Write a file of the function's folder, or file#export."),
  },
  [`${FN}.execution`]: { enum: [...new Set(RUNTIME_FAMILIES.flatMap(({ executions }) => executions))] },
  [`${FN}.env`]: { ...ENV, examples: [{ QUALITY: "80" }] },
  [`${FN}.env.*`]: { type: ["string", "number", "boolean"], minLength: 0, examples: ["80"] },
  [`${FN}.scaling.freezeAfter`]: {
    pattern: DURATION_OR_NEVER_PATTERN,
    ...says(`Write a number and a unit (${Object.keys(DURATIONS).join(", ")}), such as 30s, or ${NEVER}.`),
  },
  [`${FN}.build.installScripts`]: {
    items: { type: "string", pattern: PACKAGE_NAME.source },
    maxItems: MAXIMUM_INSTALL_SCRIPTS,
    examples: [["sharp"]],
  },
  [`${FN}.triggers`]: { maxItems: MAXIMUM_TRIGGERS, examples: [[{ http: "GET /" }]] },
  [`${TRIGGER}.http`]: {
    pattern: HTTP_PATTERN,
    examples: ["GET /thumb/{id}", "POST /thumb", "/files/{path*}"],
    ...says("Write a method and a path, such as GET /thumb/{id}, or a path for all methods."),
  },
  [`${TRIGGER}.host`]: {
    pattern: HOST_PATTERN,
    maxLength: 253,
    examples: ["shop.example.com"],
    ...says("Write a host name without scheme, port or wildcard."),
  },
  [`${TRIGGER}.timer`]: {
    pattern: TIMER_PATTERN,
    examples: ["*/5 * * * *", "0 3 * * mon-fri"],
    ...says("Write five cron fields: minute hour day month weekday."),
  },
};

const TRIGGERS: Json = {
  description: "One cause of invocations: either `http` or `timer`.",
  oneOf: [{ required: ["http"] }, { required: ["timer"], not: { required: ["host"] } }],
  defaultSnippets: [
    { label: "http", body: { http: `${stop(1, "GET")} ${stop(2, "/path")}` } },
    { label: "timer", body: { timer: stop(1, "*/5 * * * *") } },
  ],
};

/** colibri.schema.json */
export function renderConfigSchema(): string {
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "colibri.yaml",
    description: "An app of Colibri and its functions.",
    ...mapping(""),
    // Anchors for reuse and notes: not read.
    patternProperties: { "^x-": {} },
    required: ["app", "functions"],
  };
  return `${JSON.stringify(schema, undefined, 1)}\n`;
}

/** A mapping whose keys are known, or are chosen by the user. */
function mapping(path: string): Json {
  const below = path === "" ? "" : `${path}.`;
  const chosen = KEYS.find((key) => key.path === `${below}*`);
  if (chosen !== undefined) return { type: "object", additionalProperties: propertyOf(chosen) };
  const known = keysBelow(path).map((name) => KEYS.find((key) => key.path === below + name)!);
  const properties = known.map((key) => [key.path.slice(below.length), propertyOf(key)]);
  return { type: "object", properties: Object.fromEntries(properties), additionalProperties: false };
}

function propertyOf(key: (typeof KEYS)[number]): Json {
  const title = key.path.replaceAll("*", "<name>");
  const meaning = MEANINGS[key.path];
  // Editors that know Markdown say so; others show the signs as they are.
  const markdown = meaning.includes("`") ? { markdownDescription: meaning } : {};
  return { title, description: meaning, ...markdown, ...typeOf(key), ...FORMS[key.path] };
}

function typeOf({ path, type, minimum, maximum, default: standard }: Key): Json {
  switch (type) {
    case "size":
      return quantity(SIZE_PATTERN, Object.keys(SIZES), formatSize(standard!));
    case "duration":
      return quantity(DURATION_PATTERN, Object.keys(DURATIONS), formatDuration(standard!));
    case "integer":
      return { type: "integer", minimum, maximum, default: standard };
    case "map":
      return mapping(path);
    case "text or map":
      return { anyOf: [{ enum: ["internet", "none"] }, { ...mapping(path), required: ["allow"] }] };
    case "text":
      return { type: "string", minLength: 1 };
    case "list":
      return { type: "array", ...(path === `${FN}.triggers` && { items: { ...mapping(TRIGGER), ...TRIGGERS } }) };
  }
}

function quantity(pattern: string, units: readonly string[], standard: string): Json {
  const right = `Write a number and a unit (${units.join(", ")}), such as ${standard}.`;
  return { type: "string", pattern, default: standard, ...says(right) };
}

/** In place of "does not match the pattern", where the editor knows these words. */
function says(right: string): Json {
  return { errorMessage: right, patternErrorMessage: right };
}

function runtimePattern(families: readonly string[]): string {
  return `^(?:${families.join("|")})-?(?:\\d+(?:\\.\\d+)*)?$`;
}

/** What a runtime asks of the other keys. */
function familyRules({ name, endings, handlers, executions }: RuntimeFamily): Json {
  const ending = endings.map((text) => text.replace(".", "\\.")).join("|");
  return {
    if: { properties: { runtime: { type: "string", pattern: runtimePattern([name]) } }, required: ["runtime"] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      properties: {
        handler: {
          pattern: `(?:${ending})(?:#.*)?$`,
          examples: handlers,
          ...says(`Write a file of ${name}: ${endings.join(", ")}.`),
        },
        execution: { enum: executions, default: executions[0] },
      },
    },
  };
}

/** Where the cursor stops in a snippet. */
function stop(number: number, text: string): string {
  return `\${${number}:${text}}`;
}
