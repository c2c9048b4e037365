/** Triggers as people write them, and what two functions may not claim both. */
import type { HttpTrigger } from "../plan/plan.ts";

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "*"];
/** First segments that triggers can't claim: function URLs, health, and what control serves should they share an address. */
export const RESERVED = ["fn", "healthz", "v1", "console", "metrics"];
export const SEGMENT = /^(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+$/;
export const PARAMETER = /^\{[A-Za-z_][A-Za-z0-9_]*\*?\}$/;
export const HOST = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
export const MAXIMUM_PATH = 1_024;

export type ParsedTrigger =
  | { readonly kind: "trigger"; readonly trigger: HttpTrigger }
  | { readonly kind: "wrong"; readonly message: string };

/** `METHOD /path`, `* /path` or `/path`. */
export function parseHttpTrigger(http: string, host?: string): ParsedTrigger {
  const words = http.trim().split(/\s+/);
  const [method, path] = words.length === 1 ? ["*", words[0]!] : [words[0]!.toUpperCase(), words[1]!];
  const message =
    words.length > 2
      ? `${quoted(http)} has too many words: write "GET /path" or "/path"`
      : (methodProblem(method) ?? pathProblem(path) ?? hostProblem(host?.toLowerCase()));
  if (message !== undefined) return { kind: "wrong", message };
  return { kind: "trigger", trigger: { method, path, ...(host === undefined ? {} : { host: host.toLowerCase() }) } };
}

/** A path as it is claimed: the names of parameters make no difference. */
export function claimedPath(path: string): string {
  return path.replace(/\{[^}*]+(\*?)\}/g, "{$1}");
}

/** Two triggers of the same claim can't both be answered. */
export function claimKey(trigger: HttpTrigger): string {
  return `${trigger.method} ${trigger.host ?? ""}${claimedPath(trigger.path)}`;
}

function methodProblem(method: string): string | undefined {
  if (METHODS.includes(method)) return undefined;
  if (method.startsWith("/")) return `the method comes first: write "GET ${method.toLowerCase()}"`;
  return `${quoted(method)} is not a method: use one of ${METHODS.slice(0, -1).join(", ")}, or * for all`;
}

function pathProblem(path: string): string | undefined {
  if (!path.startsWith("/")) return `the path ${quoted(path)} must start with "/"`;
  if (path.length > MAXIMUM_PATH) return `the path is longer than ${MAXIMUM_PATH} characters`;
  if (path === "/") return undefined;
  const segments = path.slice(1).split("/");
  if (RESERVED.includes(segments[0]!)) {
    const reserved = RESERVED.map((prefix) => `/${prefix}`).join(", ");
    return `the path ${quoted(path)} begins with a reserved prefix (${reserved}): choose another`;
  }
  return segmentsProblem(path, segments);
}

function segmentsProblem(path: string, segments: readonly string[]): string | undefined {
  const names = new Set<string>();
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    const problem = segmentProblem(path, segment, isLast);
    if (problem !== undefined) return problem;
    if (!segment.startsWith("{")) continue;
    const name = segment.replace(/[{}*]/g, "");
    if (names.has(name)) return `the parameter {${name}} occurs twice in ${quoted(path)}`;
    names.add(name);
  }
  return undefined;
}

function segmentProblem(path: string, segment: string, isLast: boolean): string | undefined {
  if (segment === "") return isLast ? undefined : `the path ${quoted(path)} has an empty segment: remove one "/"`;
  if (segment === "." || segment === "..") return `the path ${quoted(path)} must not contain "${segment}"`;
  if (/[?#]/.test(segment)) return `the path ${quoted(path)} must end before "${segment.match(/[?#]/)![0]}"`;
  if (PARAMETER.test(segment)) {
    if (!segment.endsWith("*}") || isLast) return undefined;
    return `${segment} in ${quoted(path)} takes the rest of the path, so it must come last`;
  }
  if (SEGMENT.test(segment)) return undefined;
  return `${quoted(segment)} in ${quoted(path)} is neither plain text nor a parameter such as {id} that fills its segment`;
}

function hostProblem(host: string | undefined): string | undefined {
  if (host === undefined || (host.length <= 253 && HOST.test(host))) return undefined;
  return `${quoted(host)} is not a host name: write it without scheme, port or wildcard, such as shop.example.com`;
}

export interface CronField {
  readonly name: string;
  readonly minimum: number;
  readonly maximum: number;
  readonly words?: readonly string[];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
export const TIMER_FIELDS: readonly CronField[] = [
  { name: "minute", minimum: 0, maximum: 59 },
  { name: "hour", minimum: 0, maximum: 23 },
  { name: "day", minimum: 1, maximum: 31 },
  { name: "month", minimum: 1, maximum: 12, words: MONTHS },
  { name: "weekday", minimum: 0, maximum: 7, words: DAYS },
];

/** What is wrong with five cron fields, or undefined. */
export function timerProblem(timer: string): string | undefined {
  const fields = timer.trim().split(/\s+/);
  const format = "minute hour day month weekday";
  if (fields.length !== TIMER_FIELDS.length)
    return `${quoted(timer)} is not a timer: write five cron fields (${format}), such as "*/5 * * * *"`;
  for (const [index, field] of TIMER_FIELDS.entries()) {
    const problem = cronProblem(fields[index]!, field);
    if (problem !== undefined) return `${quoted(timer)} is not a timer: ${problem}`;
  }
  return undefined;
}

function cronProblem(text: string, field: CronField): string | undefined {
  for (const part of text.split(",")) {
    const [, from = "", to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d+))?$/.exec(part) ?? [];
    const bounds = [from, ...(to === undefined ? [] : [to])];
    const known = bounds.every(
      (bound) => (bound === "*" && to === undefined) || cronNumber(bound, field) !== undefined,
    );
    const ordered = to === undefined || cronNumber(from, field)! <= cronNumber(to, field)!;
    if (!known || !ordered || (step !== undefined && Number(step) === 0))
      return `its ${field.name} ${quoted(text)} must be *, numbers from ${field.minimum} to ${field.maximum}, ranges a-b or steps */n`;
  }
  return undefined;
}

function cronNumber(text: string, { minimum, maximum, words }: CronField): number | undefined {
  const word = words?.indexOf(text.toLowerCase()) ?? -1;
  const value = word >= 0 ? word + minimum : /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value >= minimum && value <= maximum ? value : undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
