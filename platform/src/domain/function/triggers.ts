import type { HttpTrigger } from "#contract/plan/plan.ts";
import type { FunctionPolicy } from "./function.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*"];
/** First segments that triggers can't claim: function URLs, health, and what control serves should they share an address. */
const RESERVED = ["fn", "healthz", "v1", "console", "metrics"];
const SEGMENT = /^[A-Za-z0-9._~!$&'()*+,;=:@%-]+$/;
const PARAMETER = /^\{[A-Za-z_][A-Za-z0-9_]*\*?\}$/;
const HOST = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const CRON_FIELD = /^[0-9A-Za-z*,/-]+$/;
const MAXIMUM_PATH = 1_024;

export type Trigger = FunctionPolicy["triggers"][number];
export type Parsed<T> =
  | { readonly kind: "parsed"; readonly value: T }
  | { readonly kind: "wrong"; readonly message: string };

/** `METHOD /path`, `* /path` or `/path`. */
export function parseHttpTrigger(trigger: { readonly http: string; readonly host?: string }): Parsed<HttpTrigger> {
  const words = trigger.http.trim().split(/\s+/);
  const [method, path] = words.length === 1 ? ["*", words[0]!] : [words[0]!.toUpperCase(), words[1]!];
  const host = trigger.host?.toLowerCase();
  const message =
    words.length > 2
      ? `"${trigger.http}" has too many words: write "GET /path" or "/path"`
      : (methodProblem(method) ?? pathProblem(path) ?? hostProblem(host));
  if (message !== undefined) return { kind: "wrong", message };
  return { kind: "parsed", value: { method, path, ...(host === undefined ? {} : { host }) } };
}

function methodProblem(method: string): string | undefined {
  if (METHODS.includes(method)) return undefined;
  return `"${method}" is not a method: use one of ${METHODS.slice(0, -1).join(", ")}, or * for all`;
}

function pathProblem(path: string): string | undefined {
  if (!path.startsWith("/")) return `the path "${path}" must start with "/"`;
  if (path.length > MAXIMUM_PATH) return `the path is longer than ${MAXIMUM_PATH} characters`;
  if (path === "/") return undefined;
  const segments = path.slice(1).split("/");
  if (RESERVED.includes(segments[0]!)) {
    const reserved = RESERVED.map((prefix) => `/${prefix}`).join(", ");
    return `the path "${path}" begins with a reserved prefix (${reserved}): choose another`;
  }
  return segmentsProblem(path, segments);
}

function segmentsProblem(path: string, segments: readonly string[]): string | undefined {
  const names = new Set<string>();
  for (const [index, segment] of segments.entries()) {
    if (segment === "." || segment === "..") return `the path "${path}" must not contain "${segment}"`;
    if (segment === "" && index < segments.length - 1) return `the path "${path}" has an empty segment`;
    if (segment === "" || (SEGMENT.test(segment) && !/[{}]/.test(segment))) continue;
    if (!PARAMETER.test(segment))
      return `"${segment}" in "${path}" is neither plain text nor a parameter such as {id} that fills its segment`;
    if (segment.endsWith("*}") && index < segments.length - 1)
      return `"${segment}" in "${path}" takes the rest of the path, so it must come last`;
    const name = segment.replace(/[{}*]/g, "");
    if (names.has(name)) return `the parameter {${name}} occurs twice in "${path}"`;
    names.add(name);
  }
  return undefined;
}

function hostProblem(host: string | undefined): string | undefined {
  if (host === undefined || (host.length <= 253 && HOST.test(host))) return undefined;
  return `"${host}" is not a host name: write it without scheme, port or wildcard, such as shop.example.com`;
}

/** Timers are kept, not fired yet: only what can't be five cron fields is refused. */
export function timerProblem(timer: string): string | undefined {
  const fields = timer.trim().split(/\s+/);
  if (fields.length === 5 && fields.every((field) => CRON_FIELD.test(field))) return undefined;
  return `"${timer}" is not a timer: write five cron fields (minute hour day month weekday), such as "*/5 * * * *"`;
}

/** The HTTP triggers of a policy that was admitted. */
export function httpTriggers(policy: FunctionPolicy): HttpTrigger[] {
  return policy.triggers.flatMap((trigger) => {
    if (!("http" in trigger)) return [];
    const parsed = parseHttpTrigger(trigger);
    return parsed.kind === "parsed" ? [parsed.value] : [];
  });
}

/** What one function alone may answer. Two patterns that differ only in the names of parameters are the same claim. */
export interface Claim {
  readonly method: string;
  /** Empty: any host that nobody claims. */
  readonly host: string;
  /** Parameters without their names. */
  readonly path: string;
}

export function claimOf(trigger: HttpTrigger): Claim {
  const path = trigger.path.replace(/\{[^}*]+(\*?)\}/g, "{$1}");
  return { method: trigger.method, host: trigger.host ?? "", path };
}

/** A policy's claims, each once. */
export function claimsOf(policy: FunctionPolicy): Claim[] {
  const claims = httpTriggers(policy).map(claimOf);
  return [...new Map(claims.map((claim) => [claimKey(claim), claim])).values()];
}

export function claimKey(claim: Claim): string {
  return `${claim.method} ${claim.host}${claim.path}`;
}
