import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import type { TLocalizedValidationError } from "typebox/error";
import { Settings } from "typebox/system";
import { Value } from "typebox/value";
import { RequestInvalid } from "./problem.ts";

/** Many, since a union that fits nothing counts each of its branches. */
Settings.Set({ maxErrors: 64 });
const SHOWN_ERRORS = 10;

interface Part {
  readonly schema: TSchema;
  readonly httpPart?: string;
}

/** Fastify's validator. Texts of queries and paths become numbers and booleans where the schema says so; bodies are taken as they are. */
export function compileValidator({ schema, httpPart }: Part) {
  const compiled = Compile(schema);
  return (value: unknown): { value: unknown } | { error: Error } => {
    const converted = httpPart === "body" ? value : convert(schema, value);
    if (compiled.Check(converted)) return { value: converted };
    return { error: new RequestInvalid(sentences(schema, compiled.Errors(converted), converted)) };
  };
}

/** Texts that are no decimal number stay texts, where JavaScript would make one of them: "", "0x10", "1e3". */
function convert(schema: TSchema, value: unknown): unknown {
  const { properties = {} } = schema as { properties?: Readonly<Record<string, { type?: string }>> };
  const texts = Object.entries((value ?? {}) as Readonly<Record<string, unknown>>).filter(
    ([key, text]) => properties[key]?.type === "integer" && typeof text === "string" && !isDecimal(text),
  );
  return Object.assign(Value.Convert(schema, value) as object, Object.fromEntries(texts));
}

function isDecimal(text: string): boolean {
  return /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text));
}

/** What is wrong, field by field, in words that say what would be right. */
function sentences(
  schema: TSchema,
  errors: readonly TLocalizedValidationError[],
  value: unknown,
): { path: string; message: string }[] {
  const unions = errors.filter((error) => error.keyword === "anyOf").map((error) => `${error.schemaPath}/anyOf/`);
  const told = errors.filter(
    (error) => error.keyword !== "boolean" && !unions.some((union) => error.schemaPath.startsWith(union)),
  );
  const unique = new Map(told.map((error) => [`${error.instancePath} ${error.keyword}`, error]));
  return [...unique.values()].slice(0, SHOWN_ERRORS).map((error) => ({
    path: pathOf(error.instancePath),
    message: sentence(schema, error, valueAt(value, error.instancePath)),
  }));
}

function sentence(schema: TSchema, error: TLocalizedValidationError, value: unknown): string {
  switch (error.keyword) {
    case "required":
      return `${quoted(error.params.requiredProperties)} missing`;
    case "additionalProperties":
      return `${quoted(error.params.additionalProperties)} not known here${knownNames(schema, error.schemaPath)}`;
    case "type":
      return `must be ${article(error.params.type)}, got ${preview(value)}`;
    case "anyOf":
      return `must be ${alternatives(valueAt(schema, `${error.schemaPath.slice(1)}/anyOf`))}, got ${preview(value)}`;
    case "enum":
      return `must be one of ${error.params.allowedValues.map(String).join(", ")}, got ${preview(value)}`;
    case "pattern":
    case "format": {
      const described = valueAt(schema, `${error.schemaPath.slice(1)}/description`);
      return `is not as it must be, got ${preview(value)}: ${described ?? error.message}`;
    }
    default:
      return `${error.message}, got ${preview(value)}`;
  }
}

function quoted(names: readonly string[]): string {
  return `${names.map((name) => `"${name}"`).join(", ")} ${names.length === 1 ? "is" : "are"}`;
}

function knownNames(schema: TSchema, schemaPath: string): string {
  const properties = valueAt(schema, `${schemaPath.slice(1)}/properties`);
  if (typeof properties !== "object" || properties === null) return "";
  return `; there is ${Object.keys(properties).join(", ")}`;
}

/** Literals by their value, objects by the keys they need. */
function alternatives(branches: unknown): string {
  if (!Array.isArray(branches)) return "something else";
  return branches
    .map((branch: { const?: unknown; required?: string[]; type?: string }) => {
      if (branch.const !== undefined) return JSON.stringify(branch.const);
      if (branch.required !== undefined) return `an object with ${branch.required.join(", ")}`;
      return article(branch.type ?? "something else");
    })
    .join(" or ");
}

function article(type: string | readonly string[]): string {
  const name = Array.isArray(type) ? type.join(" or ") : String(type);
  return /^[aeiou]/.test(name) ? `an ${name}` : `a ${name}`;
}

function preview(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** `/functions/thumb/triggers/0` → functions.thumb.triggers[0] */
function pathOf(pointer: string): string {
  const path = steps(pointer).map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`));
  return path.join("").replace(/^\./, "");
}

function valueAt(value: unknown, pointer: string): unknown {
  let at = value;
  for (const step of steps(pointer)) {
    if (typeof at !== "object" || at === null) return undefined;
    at = (at as Record<string, unknown>)[step];
  }
  return at;
}

function steps(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}
