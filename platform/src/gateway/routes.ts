import { functionKey, functionPath } from "#contract/names.ts";
import type { HttpTrigger, RoutePlan } from "#contract/plan/plan.ts";

/** Where an address leads. */
export type Found =
  | {
      readonly kind: "found";
      readonly key: string;
      readonly plan: RoutePlan;
      readonly path: string;
      readonly params: Readonly<Record<string, string>> | undefined;
      readonly trigger: "url" | "http";
    }
  /** The address exists, for these methods only. */
  | { readonly kind: "method"; readonly allow: string }
  | { readonly kind: "malformed"; readonly message: string }
  | { readonly kind: "none" };

interface Pattern {
  readonly key: string;
  readonly plan: RoutePlan;
  readonly trigger: HttpTrigger;
  /** A literal segment, or the name of a parameter. */
  readonly segments: readonly { readonly literal: boolean; readonly text: string }[];
  /** Name of the parameter that takes all further segments. */
  readonly rest: string | undefined;
}

const NONE: Found = Object.freeze({ kind: "none" });

/**
 * Addresses of functions. Function URLs are one map look-up; triggers are compared segment by segment, literal ones first, so
 * that `/thumb/new` wins over `/thumb/{id}`.
 */
export class Routes {
  readonly #urls = new Map<string, { key: string; plan: RoutePlan }>();
  /** By host, "" for any. */
  #triggers = new Map<string, Pattern[]>();

  set(plan: RoutePlan): void {
    const key = functionKey(plan);
    this.#urls.set(functionPath(plan), { key, plan });
    this.#dropTriggers(key);
    for (const trigger of plan.policy.triggers) this.#addTrigger(key, plan, trigger);
  }

  remove(plan: RoutePlan): void {
    this.#urls.delete(functionPath(plan));
    this.#dropTriggers(functionKey(plan));
  }

  /** `path` is the request's path as it came, without the query. */
  find(method: string, host: string, path: string): Found {
    return path.startsWith("/fn/") ? this.#findUrl(path) : this.#findTrigger(method, host, path);
  }

  #findUrl(path: string): Found {
    // /fn/<app>/<function>… or /fn/@<tenant>/<app>/<function>…
    let end = path.indexOf("/", 4);
    if (path.charCodeAt(4) === 64 && end !== -1) end = path.indexOf("/", end + 1);
    if (end === -1) return NONE;
    end = path.indexOf("/", end + 1);
    const found = this.#urls.get(end === -1 ? path : path.slice(0, end));
    if (found === undefined) return NONE;
    return {
      kind: "found",
      key: found.key,
      plan: found.plan,
      path: end === -1 ? "/" : path.slice(end),
      params: undefined,
      trigger: "url",
    };
  }

  #findTrigger(method: string, host: string, path: string): Found {
    const colon = host.lastIndexOf(":");
    const name = (colon > host.lastIndexOf("]") ? host.slice(0, colon) : host).toLowerCase();
    const segments = path.split("/").slice(1);
    const allowed = new Set<string>();
    for (const patterns of [this.#triggers.get(name), this.#triggers.get("")]) {
      for (const pattern of patterns ?? []) {
        if (!matches(pattern, segments)) continue;
        if (
          pattern.trigger.method === "*" ||
          pattern.trigger.method === method ||
          (method === "HEAD" && pattern.trigger.method === "GET")
        )
          return capture(pattern, path, segments);
        allowed.add(pattern.trigger.method);
      }
    }
    return allowed.size === 0 ? NONE : { kind: "method", allow: [...allowed].sort().join(", ") };
  }

  #addTrigger(key: string, plan: RoutePlan, trigger: HttpTrigger): void {
    const parts = trigger.path.split("/").slice(1);
    const last = parts[parts.length - 1] ?? "";
    const rest = /^\{(.+)\*\}$/.exec(last)?.[1];
    const segments = (rest === undefined ? parts : parts.slice(0, -1)).map((part) => {
      const name = /^\{(.+)\}$/.exec(part)?.[1];
      return name === undefined ? { literal: true, text: part } : { literal: false, text: name };
    });
    const host = (trigger.host ?? "").toLowerCase();
    const patterns = this.#triggers.get(host) ?? [];
    patterns.push({ key, plan, trigger, segments, rest });
    patterns.sort(bySpecificity);
    this.#triggers.set(host, patterns);
  }

  #dropTriggers(key: string): void {
    for (const [host, patterns] of this.#triggers) {
      const kept = patterns.filter((pattern) => pattern.key !== key);
      if (kept.length === 0) this.#triggers.delete(host);
      else this.#triggers.set(host, kept);
    }
  }
}

function matches(pattern: Pattern, segments: readonly string[]): boolean {
  const { segments: wanted, rest } = pattern;
  if (rest === undefined ? segments.length !== wanted.length : segments.length < wanted.length) return false;
  for (let index = 0; index < wanted.length; index++) {
    const want = wanted[index]!;
    if (want.literal ? want.text !== segments[index] : segments[index] === "") return false;
  }
  return true;
}

function capture(pattern: Pattern, path: string, segments: readonly string[]): Found {
  const params: Record<string, string> = {};
  try {
    pattern.segments.forEach((segment, index) => {
      if (!segment.literal) params[segment.text] = decodeURIComponent(segments[index]!);
    });
    if (pattern.rest !== undefined)
      params[pattern.rest] = segments.slice(pattern.segments.length).map(decodeURIComponent).join("/");
  } catch {
    return { kind: "malformed", message: `the path ${path} has a broken percent-encoding` };
  }
  return { kind: "found", key: pattern.key, plan: pattern.plan, path, params, trigger: "http" };
}

/** Literal segments before parameters, position by position; longer before shorter; patterns with a rest last. */
function bySpecificity(a: Pattern, b: Pattern): number {
  const length = Math.min(a.segments.length, b.segments.length);
  for (let index = 0; index < length; index++) {
    const difference = Number(b.segments[index]!.literal) - Number(a.segments[index]!.literal);
    if (difference !== 0) return difference;
  }
  return b.segments.length - a.segments.length || Number(a.rest !== undefined) - Number(b.rest !== undefined);
}
