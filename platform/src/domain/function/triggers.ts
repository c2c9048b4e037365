import { claimedPath, claimKey, parseHttpTrigger } from "#contract/config/triggers.ts";
import type { HttpTrigger } from "#contract/plan/plan.ts";
import type { FunctionPolicy } from "./function.ts";

/** What one function alone may answer. Two patterns that differ only in the names of parameters are the same claim. */
export interface Claim {
  readonly method: string;
  /** Empty: any host that nobody claims. */
  readonly host: string;
  /** Parameters without their names. */
  readonly path: string;
}

/** The HTTP triggers of a policy that was admitted. */
export function httpTriggers(policy: FunctionPolicy): HttpTrigger[] {
  return policy.triggers.flatMap((trigger) => {
    if (!("http" in trigger)) return [];
    const parsed = parseHttpTrigger(trigger.http, trigger.host);
    return parsed.kind === "trigger" ? [parsed.trigger] : [];
  });
}

/** A policy's claims, each once. */
export function claimsOf(policy: FunctionPolicy): Claim[] {
  const claims = httpTriggers(policy).map(({ method, host = "", path }): Claim => {
    return { method, host, path: claimedPath(path) };
  });
  return [...new Map(claims.map((claim) => [claimKey(claim), claim])).values()];
}
