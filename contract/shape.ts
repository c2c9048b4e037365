/**
 * Shapes of messages: a value is checked once, where it enters a process, and is then typed. Small on purpose: guests can't
 * carry a schema library, and hostile input must not reach code that trusts its type. The control API uses JSON Schema
 * instead (contract/api), since its shapes are published.
 */

/** A check either returns undefined or says what is wrong and where, such as `.handler: expected a string, got 7`. */
export interface Shape<T> {
  readonly check: (value: unknown, path: string) => string | undefined;
  readonly optional?: true;
  /** Never set: carries the type. */
  readonly type?: T;
}

export type TypeOf<S> = S extends Shape<infer T> ? T : never;

type OptionalKeys<F> = { [K in keyof F]: F[K] extends { optional: true } ? K : never }[keyof F];
type ObjectOf<F> = { readonly [K in Exclude<keyof F, OptionalKeys<F>>]: TypeOf<F[K]> } & {
  readonly [K in OptionalKeys<F>]?: TypeOf<F[K]> | undefined;
};

export class ShapeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ShapeError";
  }
}

/** @throws ShapeError naming the place and what was expected. */
export function parse<T>(shape: Shape<T>, value: unknown, name: string): T {
  const problem = shape.check(value, "");
  if (problem !== undefined) throw new ShapeError(`${name}${problem}`);
  return value as T;
}

/** Like `parse`, from JSON text. */
export function parseJson<T>(shape: Shape<T>, text: string, name: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ShapeError(`${name}: not JSON: ${preview(text)}`);
  }
  return parse(shape, value, name);
}

function preview(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(JSON.stringify(value) ?? value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function expected(path: string, what: string, value: unknown): string {
  return `${path}: expected ${what}, got ${preview(value)}`;
}

function leaf<T>(what: string, accepts: (value: unknown) => boolean): Shape<T> {
  return { check: (value, path) => (accepts(value) ? undefined : expected(path, what, value)) };
}

export const boolean: Shape<boolean> = leaf("true or false", (value) => typeof value === "boolean");
export const anything: Shape<unknown> = leaf("anything", () => true);

/** A string of at most `maximum` characters. */
export function text(maximum = 65_536): Shape<string> {
  return leaf(
    `a string of at most ${maximum} characters`,
    (value) => typeof value === "string" && value.length <= maximum,
  );
}

export function matching<T extends string>(what: string, accepts: (value: unknown) => value is T): Shape<T> {
  return leaf(what, accepts);
}

export function integer(minimum = 0, maximum = Number.MAX_SAFE_INTEGER): Shape<number> {
  const what = `an integer from ${minimum} to ${maximum}`;
  return leaf(
    what,
    (value) => Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum,
  );
}

/** A finite number, not below `minimum`. */
export function number(minimum = 0): Shape<number> {
  return leaf(`a number not below ${minimum}`, (value) => Number.isFinite(value) && (value as number) >= minimum);
}

export function oneOf<const V extends readonly string[]>(...values: V): Shape<V[number]> {
  return leaf(`one of ${values.join(", ")}`, (value) => values.includes(value as string));
}

export function optional<T>(shape: Shape<T>): Shape<T> & { optional: true } {
  return { check: (value, path) => (value === undefined ? undefined : shape.check(value, path)), optional: true };
}

export function nullable<T>(shape: Shape<T>): Shape<T | null> {
  return { check: (value, path) => (value === null ? undefined : shape.check(value, path)) };
}

export function list<T>(shape: Shape<T>, maximum = 10_000): Shape<readonly T[]> {
  return {
    check(value, path) {
      if (!Array.isArray(value) || value.length > maximum)
        return expected(path, maximum === Number.POSITIVE_INFINITY ? "a list" : `a list of at most ${maximum}`, value);
      for (let index = 0; index < value.length; index++) {
        const problem = shape.check(value[index], `${path}[${index}]`);
        if (problem !== undefined) return problem;
      }
      return undefined;
    },
  };
}

/** A map from strings to one shape. */
export function map<T>(shape: Shape<T>, maximum = 10_000): Shape<Readonly<Record<string, T>>> {
  return {
    check(value, path) {
      if (!isObject(value)) return expected(path, "an object", value);
      const keys = Object.keys(value);
      if (keys.length > maximum) return `${path}: more than ${maximum} entries`;
      for (const key of keys) {
        const problem = shape.check(value[key], `${path}.${key}`);
        if (problem !== undefined) return problem;
      }
      return undefined;
    },
  };
}

/** Known fields are checked; unknown ones are let through, so that a newer sender can be understood. */
export function object<F extends Readonly<Record<string, Shape<unknown>>>>(fields: F): Shape<ObjectOf<F>> {
  const entries = Object.entries(fields);
  return {
    check(value, path) {
      if (!isObject(value)) return expected(path, "an object", value);
      for (const [key, shape] of entries) {
        const problem = shape.check(value[key], `${path}.${key}`);
        if (problem !== undefined) return problem;
      }
      return undefined;
    },
  };
}

/** A union told apart by one field. */
export function tagged<K extends string, V extends Readonly<Record<string, Shape<unknown>>>>(
  key: K,
  variants: V,
): Shape<{ [N in keyof V & string]: { readonly [P in K]: N } & TypeOf<V[N]> }[keyof V & string]> {
  const names = Object.keys(variants);
  return {
    check(value, path) {
      if (!isObject(value)) return expected(path, "an object", value);
      const tag = value[key];
      if (typeof tag !== "string" || !Object.hasOwn(variants, tag))
        return expected(`${path}.${key}`, `one of ${names.join(", ")}`, tag);
      return variants[tag]?.check(value, path);
    },
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
