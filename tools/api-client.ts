// The client's part that is made of the OpenAPI document: a type for each schema, a typed method and a row for each operation.
// Only what our own document has of JSON Schema is understood; anything else stops it.
type Json = Record<string, unknown>;
type Schema = Json & { description?: string; properties?: Record<string, Schema>; required?: string[]; items?: Schema };
type Parameter = {
  name: string;
  in: "path" | "query" | "header";
  required: boolean;
  description?: string;
  schema: Schema;
};
type Described = { readonly method: string; readonly path: string; readonly operation: Operation };

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly "x-permission": string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Json };
  readonly responses: Readonly<
    Record<string, { readonly content?: Record<string, { schema: Schema; "x-item-schema"?: Schema }> }>
  >;
}

interface Catalogue {
  readonly [code: string]: { readonly retry: boolean };
}

/** Names that TypeScript has for something else. */
const RENAMED: Readonly<Record<string, string>> = { Function: "FunctionResource" };
const PRIMITIVES: Readonly<Record<string, string>> = {
  string: "string",
  integer: "number",
  number: "number",
  boolean: "boolean",
  null: "null",
};

const HEAD = "// Made by tools/write-api-client.ts: change contract/api or contract/errors.ts, and run that.\n";

/** The files of sdk/node/client that are made, by name. */
export function renderApiClient(document: Json, catalogue: Catalogue): Readonly<Record<string, string>> {
  const { schemas } = document.components as { schemas: Record<string, Schema> };
  return {
    "codes.ts": `${HEAD}${codes(Object.entries(catalogue))}`,
    "resources.ts": `${HEAD}${resources(schemas)}`,
    "operations.ts": `${HEAD}${operations(schemas, operationsOf(document))}`,
  };
}

function codes(entries: readonly (readonly [string, { readonly retry: boolean }])[]): string {
  const retried = entries.filter(([, { retry }]) => retry).map(([code]) => code);
  return `
/** Of the catalogue of errors: docs/errors.md. */
export type ErrorCode = ${entries.map(([code]) => JSON.stringify(code)).join(" | ")};

/** Codes of failures after which the same request may succeed. */
export const RETRIED: readonly string[] = ${JSON.stringify(retried)};
`;
}

function resources(schemas: Record<string, Schema>): string {
  const types = Object.entries(schemas).map(
    ([name, schema]) => `${comment(schema)}export type ${nameOf(name)} = ${typeOf(schema)};`,
  );
  return `\n${types.join("\n\n")}\n`;
}

function operations(schemas: Record<string, Schema>, all: readonly Described[]): string {
  const methods = all.map(signature).join("\n\n");
  const rows = all.map((described) => `  ${described.operation.operationId}: ${JSON.stringify(rowOf(described))},`);
  const named = Object.keys(schemas)
    .map(nameOf)
    .filter((name) => new RegExp(`\\b${name}\\b`).test(methods));
  return `import type { ${named.sort().join(", ")} } from "./resources.ts";
import type { Bytes, CallOptions, Listing, OperationRow } from "./types.ts";

/** The control API: a method for each of its operations. Absent, \`tenant\` is the client's. */
export interface Api {
${methods}
}

export const OPERATIONS = {
${rows.join("\n")}
} as const satisfies Readonly<Record<keyof Api, OperationRow>>;
`;
}

function operationsOf(document: Json): Described[] {
  const paths = document.paths as Record<string, Record<string, Operation>>;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

function signature({ method, operation }: Described): string {
  const { operationId, summary, parameters, requestBody } = operation;
  const fields = parameters.map(({ name, in: place, required, description, schema }) => {
    const told = place === "path" ? "" : comment({ description });
    const isNeeded = required && name !== "tenant";
    return `${told}${keyOf(name)}${isNeeded ? "" : "?"}: ${typeOf(schema)}${isNeeded ? "" : " | undefined"}`;
  });
  if (requestBody !== undefined) fields.push(`body: ${bodyOf(requestBody.content)}`);
  const isNeeded = requestBody !== undefined || parameters.some(({ name, required }) => required && name !== "tenant");
  const permission = operation["x-permission"];
  const needs = permission === "none" ? "Needs no token." : `Needs the permission ${permission}.`;
  const args = `args${isNeeded ? "" : "?"}: ${fields.length === 0 ? "Record<never, never>" : `{\n${fields.join(";\n")}\n}`}`;
  return `${comment({ description: `${summary}. ${needs}` })}${operationId}(${args}, call?: CallOptions): ${resultOf(method, operation)};`;
}

function bodyOf(content: Json): string {
  const json = content["application/json"] as { schema: Schema } | undefined;
  return json === undefined ? "Bytes" : typeOf(json.schema);
}

function answerOf(method: string, operation: Operation) {
  const content = Object.entries(operation.responses).find(([status]) => status !== "default")![1].content ?? {};
  const [type, media] = Object.entries(content)[0] ?? [];
  if (media === undefined) return { kind: method === "HEAD" ? "exists" : "nothing" } as const;
  if (type === "text/plain") return { kind: "text" } as const;
  const line = media["x-item-schema"];
  if (line !== undefined) return { kind: "lines", schema: line } as const;
  const isPaged = operation.parameters.some(({ name }) => name === "cursor");
  return isPaged
    ? ({ kind: "pages", schema: media.schema.properties!.items!.items! } as const)
    : ({ kind: "json", schema: media.schema } as const);
}

function resultOf(method: string, operation: Operation): string {
  const answer = answerOf(method, operation);
  switch (answer.kind) {
    case "exists":
      return "Promise<boolean>";
    case "nothing":
      return "Promise<void>";
    case "text":
      return "Promise<string>";
    case "lines":
      return `AsyncIterable<${typeOf(answer.schema)}>`;
    case "pages":
      return `Listing<${typeOf(answer.schema)}>`;
    case "json":
      return `Promise<${typeOf(answer.schema)}>`;
  }
}

function rowOf({ method, path, operation }: Described): object {
  const named = (place: Parameter["in"]) =>
    operation.parameters.filter((parameter) => parameter.in === place).map(({ name }) => name);
  const headers = Object.fromEntries(named("header").map((name) => [keyOf(name), name]));
  const { requestBody } = operation;
  return {
    method,
    path,
    query: named("query"),
    headers,
    body: requestBody === undefined ? "none" : "application/json" in requestBody.content ? "json" : "bytes",
    answer: answerOf(method, operation).kind,
  };
}

/** `if-match` → ifMatch */
function keyOf(name: string): string {
  return name.replace(/-(\w)/g, (_all, letter: string) => letter.toUpperCase());
}

function nameOf(schema: string): string {
  return RENAMED[schema] ?? schema;
}

function typeOf(schema: Schema): string {
  if (typeof schema.$ref === "string") return nameOf(schema.$ref.split("/").at(-1)!);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map((branch: Schema) => typeOf(branch)).join(" | ");
  if (schema.type === "array") return `readonly (${typeOf(schema.items!)})[]`;
  if (schema.type === "object") return objectOf(schema);
  const primitive = PRIMITIVES[String(schema.type)];
  if (primitive !== undefined) return primitive;
  if (Object.keys(schema).length === 0) return "unknown";
  throw new Error(`a schema that the client's types have no word for: ${JSON.stringify(schema)}`);
}

function objectOf({ properties, patternProperties, required = [] }: Schema): string {
  const [chosen] = Object.values((patternProperties ?? {}) as Record<string, Schema>);
  if (chosen !== undefined) return `Readonly<Record<string, ${typeOf(chosen)}>>`;
  const fields = Object.entries(properties ?? {}).map(
    ([name, schema]) => `${comment(schema)}readonly ${name}${required.includes(name) ? "" : "?"}: ${typeOf(schema)}`,
  );
  return `{\n${fields.join(";\n")}\n}`;
}

function comment({ description }: { description?: string | undefined }): string {
  return description === undefined ? "" : `/** ${description.replaceAll("*/", "* /")} */\n`;
}
