import type { FunctionConfig } from "#contract/api/resources.ts";
import type { Digest } from "#contract/digest.ts";
import type { FunctionRef, RevisionRef } from "#contract/names.ts";

/** Mutable beside the revision; a change takes effect without a new one. */
export type FunctionPolicy = FunctionConfig["policy"];
/** What a revision fixes, beside its code. */
export type RevisionConfig = Omit<FunctionConfig, "policy">;

export interface BundleRef {
  readonly digest: Digest;
  readonly bytes: number;
}

/** A revision before it has a number. */
export interface RevisionContent {
  readonly source: Digest;
  readonly bundle: BundleRef;
  readonly config: RevisionConfig;
  /** The environment as colibri.yaml has it, where the one that the revision runs with is another. */
  readonly declared?: Readonly<Record<string, string>>;
}

export interface RevisionState extends RevisionRef, RevisionContent {
  readonly createdAtMs: number;
}

/** A share of the alias `live`; the weights of one function add up to 100. */
export interface LiveShare {
  readonly revision: string;
  readonly weight: number;
}

export interface FunctionState extends FunctionRef {
  /** Number of its newest RoutePlan. Never used twice, not even after the function was deleted and made again. */
  readonly version: number;
  readonly live: readonly LiveShare[];
  readonly policy: FunctionPolicy;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** The revision that most callers get: what a deployment is compared with. */
export function mainRevision(live: readonly LiveShare[]): string {
  return live.reduce((main, share) => (share.weight > main.weight ? share : main)).revision;
}

export function splitConfig(config: FunctionConfig): { revision: RevisionConfig; policy: FunctionPolicy } {
  const { policy, ...revision } = config;
  return { revision, policy };
}

/** `r12` → 12 */
export function revisionNumber(revision: string): number {
  return Number(revision.slice(1));
}

export function revisionName(number: number): string {
  return `r${number}`;
}
