import type { TSchema } from "typebox";
import { PROBLEM_MEDIA_TYPE } from "../problem.ts";
import { ProblemSchema } from "./resources.ts";
import { type Operation, ROUTES, type Route } from "./routes.ts";

type Json = Record<string, unknown>;

/** The OpenAPI document of the route table: the schemas in it are the ones that requests are validated with. */
export function createDocument(version: string): Json {
  const names = new SchemaNames();
  const paths: Record<string, Json> = {};
  for (const operation of Object.keys(ROUTES) as Operation[]) {
    const row: Route = ROUTES[operation];
    const path = row.path.replace(/:([a-z]+)/g, "{$1}");
    paths[path] = { ...paths[path], [row.method.toLowerCase()]: names.refer(describe(operation, row)) };
  }
  const token = { type: "http", scheme: "bearer", description: "The token in the platform's home." };
  return {
    openapi: "3.1.0",
    info: { title: "Colibri control API", version },
    paths,
    components: { schemas: names.schemas, securitySchemes: { token } },
  };
}

function describe(operation: Operation, row: Route): Json {
  return {
    operationId: operation,
    summary: row.summary,
    "x-permission": row.permission,
    security: row.permission === "none" ? [] : [{ token: [] }],
    parameters: [
      ...parameters("path", row.params),
      ...parameters("query", row.query),
      ...parameters("header", row.headers),
    ],
    ...(row.body !== undefined && { requestBody: { required: true, content: bodyOf(row.body) } }),
    responses: { [row.status]: answerOf(row), default: PROBLEM },
  };
}

function parameters(place: "path" | "query" | "header", schema: TSchema | undefined): Json[] {
  const { properties = {}, required = [] } = (schema ?? {}) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...rest }]) => ({
    name,
    in: place,
    required: required.includes(name),
    ...(description !== undefined && { description }),
    schema: rest,
  }));
}

function bodyOf(body: NonNullable<Route["body"]>): Json {
  return body === "stream" ? { "application/octet-stream": {} } : { "application/json": { schema: body } };
}

function answerOf({ answer, lines, summary }: Route): Json {
  if (answer === undefined) return { description: summary };
  if (typeof answer === "string")
    return {
      description: summary,
      // OpenAPI 3.2 will call it itemSchema.
      content: { [answer]: { schema: { type: "string" }, ...(lines !== undefined && { "x-item-schema": lines }) } },
    };
  return { description: summary, content: { "application/json": { schema: answer } } };
}

const PROBLEM = {
  description: "What was wrong, where, and what would be right.",
  content: { [PROBLEM_MEDIA_TYPE]: { schema: ProblemSchema } },
};

/** Puts named schemas, found at any depth, aside, and references in their place. */
class SchemaNames {
  readonly schemas: Record<string, unknown> = {};

  refer(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((part) => this.refer(part));
    if (typeof value !== "object" || value === null) return value;
    const { $id: id, ...parts } = value as Json;
    const referred = Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, this.refer(part)]));
    if (typeof id !== "string") return referred;
    this.schemas[id] = referred;
    return { $ref: `#/components/schemas/${id}` };
  }
}
