import type { Deployment, DeploymentEvent, DeploymentFunction, DeploymentRequest } from "#contract/api/resources.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { FunctionPolicy, RevisionContent } from "#domain/function/function.ts";
import type { OverridesChange } from "#domain/function/overrides.ts";
import type { Claim } from "#domain/function/triggers.ts";

/**
 * `queued`, `building`, `releasing` and `released` deployments are jobs; `done` and `failed` ones have ended and never change
 * again. A `released` one has taken effect in the store, and waits for those who carry it out: it can only become `done`.
 */
export type DeploymentPhase = Deployment["state"] | "released";
/** What became of one function; its address is not kept, since it follows from its name. */
export type FunctionProgress = Omit<DeploymentFunction, "url">;

/** Functions to deploy; or, with `reconfigure`, those there are, or the one it names, with what is then set beside colibri.yaml. */
export type JobRequest = DeploymentRequest & { readonly reconfigure?: { readonly function?: string } };

export interface NewDeployment {
  readonly id: string;
  readonly app: string;
  readonly request: JobRequest;
  /** Takes effect together with the deployment's being there; with a known idempotency key it has done so. */
  readonly overrides?: OverridesChange | undefined;
  readonly warnings: readonly string[];
  readonly createdAtMs: number;
  readonly idempotency?: Idempotency | undefined;
}

/** `request` is a digest of what was asked. */
export interface Idempotency {
  readonly key: string;
  readonly request: string;
}

export type KnownDeployment =
  | { readonly kind: "repeated"; readonly deployment: DeploymentState }
  | { readonly kind: "mismatch"; readonly id: string };
export type CreateOutcome = KnownDeployment | { readonly kind: "created"; readonly deployment: DeploymentState };

export interface DeploymentState {
  readonly tenant: string;
  readonly id: string;
  readonly app: string;
  readonly state: DeploymentPhase;
  /** How often somebody began to execute it: more than once after crashes. */
  readonly attempts: number;
  readonly request: JobRequest;
  readonly functions: readonly FunctionProgress[];
  readonly warnings: readonly string[];
  readonly createdAtMs: number;
  readonly finishedAtMs?: number;
}

export type NewEvent = Pick<DeploymentEvent, "kind" | "function" | "text"> & { readonly atMs: number };
export type StoredEvent = NewEvent & { readonly number: number };

/** What changed; the rest stays. With `done` or `failed` the deployment has ended, at `atMs`. */
export interface Progress {
  readonly atMs: number;
  readonly state?: Exclude<DeploymentPhase, "released"> | undefined;
  readonly attempts?: number | undefined;
  /** Replaced by name. */
  readonly functions?: readonly FunctionProgress[] | undefined;
  readonly events?: readonly NewEvent[] | undefined;
}

export interface Release {
  readonly deployment: string;
  readonly app: string;
  readonly atMs: number;
  /** Removes the app's functions that are not named here. */
  readonly prune: boolean;
  /** The app's from now on, in the plans of all its revisions; absent, it stays, and a new app has `internet`. */
  readonly network?: NetworkPolicy | undefined;
  readonly functions: readonly FunctionRelease[];
}

/**
 * `from`: the main revision of `live` that this was decided on; absent when there was no such function. `overridden`: variables that
 * are set beside colibri.yaml, to be told.
 */
export type FunctionRelease = { readonly overridden?: readonly string[] } & (
  | {
      readonly kind: "revision";
      readonly function: string;
      readonly from?: string | undefined;
      readonly change: "created" | "updated" | "configured";
      readonly content: RevisionContent;
      readonly policy: FunctionPolicy;
    }
  | { readonly kind: "policy"; readonly function: string; readonly from: string; readonly policy: FunctionPolicy }
  | { readonly kind: "unchanged"; readonly function: string; readonly from: string }
);

/**
 * `released`, also when it was so before and nothing had to be done. `ended`: it had ended before, so nothing was done. `changed`: this function is not what the release was decided on: decide
 * again. `claimed`: another function answers there already.
 */
export type ReleaseOutcome =
  | { readonly kind: "released" | "ended"; readonly deployment: DeploymentState }
  | { readonly kind: "changed"; readonly function: string }
  | { readonly kind: "claimed"; readonly function: string; readonly held: HeldClaim }
  | { readonly kind: "absent" };

export interface HeldClaim {
  readonly claim: Claim;
  /** Absent: another tenant's. */
  readonly holder?: { readonly app: string; readonly function: string };
}
