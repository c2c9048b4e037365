import { ProblemSchema } from "#contract/api/resources.ts";
import type { Permission, Route } from "#contract/api/routes.ts";

/** Fastify's route schema: what is validated and what the document says are the same objects. */
export function schemaOf(operation: string, route: Route): Record<string, unknown> {
  return {
    operationId: operation,
    summary: route.summary,
    "x-permission": route.permission,
    security: security(route.permission),
    ...(route.params && { params: route.params }),
    ...(route.query && { querystring: route.query }),
    ...(route.headers && { headers: route.headers }),
    ...(typeof route.body === "object" && { body: route.body }),
    response: {
      [route.status]: answerOf(route),
      default: {
        description: "What was wrong, where, and what would be right.",
        content: { "application/problem+json": { schema: ProblemSchema } },
      },
    },
  };
}

function security(permission: Permission): Record<string, string[]>[] {
  return permission === "none" ? [] : [{ token: [] }];
}

function answerOf({ answer, summary }: Route): unknown {
  if (answer === undefined) return { description: summary, type: "null" };
  if (typeof answer === "string")
    return { description: summary, content: { [answer]: { schema: { type: "string" } } } };
  return { description: summary, content: { "application/json": { schema: answer } } };
}

export const DOCUMENT = Object.freeze({
  openapi: "3.1.0",
  info: { title: "Colibri control API", version: "1" },
  components: {
    securitySchemes: {
      token: { type: "http" as const, scheme: "bearer", description: "The token in the platform's home." },
    },
  },
});

const MARK = "x-schema";

/**
 * Named schemas of the document. The plugin would spell them out at every place, so they go through it as marks and become
 * references afterwards.
 */
export class SchemaNames {
  readonly #schemas: Record<string, unknown> = {};

  /** With each named schema, at any depth, replaced by its mark. */
  mark(value: unknown): unknown {
    return this.#visit(value, (object) => {
      const id = object.$id;
      if (typeof id !== "string") return undefined;
      const { $id: _, ...content } = object;
      this.#schemas[id] ??= this.mark(content);
      return { [MARK]: id };
    });
  }

  /** With references in place of marks, and what they refer to in the components. */
  finish(document: Record<string, unknown>): Record<string, unknown> {
    const refer = (value: unknown): unknown =>
      this.#visit(value, (object) => object[MARK] && { $ref: `#/components/schemas/${object[MARK]}` });
    const components = { ...(document.components as object), schemas: refer(this.#schemas) };
    return { ...document, paths: refer(document.paths), components };
  }

  #visit(value: unknown, replace: (object: Record<string, unknown>) => unknown): unknown {
    if (Array.isArray(value)) return value.map((part) => this.#visit(part, replace));
    if (typeof value !== "object" || value === null) return value;
    const object = value as Record<string, unknown>;
    const replaced = replace(object);
    if (replaced) return replaced;
    return Object.fromEntries(Object.entries(object).map(([key, part]) => [key, this.#visit(part, replace)]));
  }
}
