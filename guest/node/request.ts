import type { GuestInvoke } from "#contract/guest/link.ts";

type Given = NonNullable<GuestInvoke["request"]>;

/** `context.request`: what the caller sent, read as it is asked for. */
export class RequestFacts {
  readonly #given: Given;
  #query: Record<string, string | string[]> | undefined;
  #headers: Record<string, string> | undefined;

  constructor(given: Given) {
    this.#given = given;
  }

  get method(): string {
    return this.#given.method;
  }

  get path(): string {
    return this.#given.path;
  }

  /** Values of the query by name; a list where a name comes more than once. */
  get query(): Record<string, string | string[]> {
    this.#query ??= parseQuery(this.#given.query);
    return this.#query;
  }

  /** Values by lower-case name; several of one name are joined as HTTP says. */
  get headers(): Record<string, string> {
    this.#headers ??= joinHeaders(this.#given.headers);
    return this.#headers;
  }

  /** What the route's pattern matched. */
  get params(): Readonly<Record<string, string>> {
    return this.#given.params ?? {};
  }

  toJSON(): object {
    const { method, path, query, headers, params } = this;
    return { method, path, query, headers, params };
  }
}

/** Of a flat list of headers; undefined when it is not there. */
export function findHeader(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) {
    const candidate = headers[index]!;
    if (candidate.length === name.length && (candidate === name || candidate.toLowerCase() === name))
      return headers[index + 1];
  }
  return undefined;
}

// Without a prototype: callers choose the names.
function parseQuery(query: string): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of new URLSearchParams(query)) {
    const before = values[name];
    if (before === undefined) values[name] = value;
    else if (typeof before === "string") values[name] = [before, value];
    else before.push(value);
  }
  return values;
}

function joinHeaders(flat: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (let index = 0; index + 1 < flat.length; index += 2) {
    const name = flat[index]!.toLowerCase();
    const before = headers[name];
    headers[name] =
      before === undefined ? flat[index + 1]! : `${before}${name === "cookie" ? "; " : ", "}${flat[index + 1]}`;
  }
  return headers;
}
