import type { Digest } from "#contract/digest.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { PlanTopic } from "#contract/plan/plan.ts";
import type { FunctionState, RevisionState } from "#domain/function/function.ts";
import type { Overrides } from "#domain/function/overrides.ts";
import type { Claim } from "#domain/function/triggers.ts";
import type {
  CreateOutcome,
  DeploymentState,
  HeldClaim,
  Idempotency,
  KnownDeployment,
  NewDeployment,
  Progress,
  Release,
  ReleaseOutcome,
  StoredEvent,
} from "./deployment.ts";

/**
 * The store port: what control knows and must not forget.
 *
 * Apps hold functions. A function has revisions, which never change, an alias `live` that says which of them callers get, and a
 * policy that changes without a revision; an app has a network policy that goes into the plans of all its revisions. All of this changes in one way only, by `release`, which a deployment leads to, and by
 * deleting. Either is one transaction: revision, alias, policy, claims, the deployment's state and the plan changes that follow
 * are seen together or not at all, and what was answered is never lost again (where `durable` is claimed).
 *
 * A deployment is a job. Its request is kept until it ends, so whoever opens the store after a crash can take it up again.
 *
 * Each change of a plan takes the next number. Numbers never go back and are never given twice: a function's `version` is the
 * number of its last plan, so it differs even from that of an earlier function of the same name. Revision numbers go on after a
 * function was deleted, for hosts may still run sandboxes of the old ones.
 *
 * The store keeps itself bounded: the limits are in `limits.ts`.
 *
 * The tenant comes first in every key. Only `tenants`, `plansNow` and `plansSince` look across tenants: they serve control
 * itself, no caller.
 *
 * Every method rejects with a PlatformError `store-unavailable` when the medium fails.
 */
export interface Store {
  readonly capabilities: StoreCapabilities;

  open(signal: AbortSignal): Promise<void>;
  /** Waits for what is under way. Works twice, and after a failed `open`. Afterwards every other call is refused. */
  close(): Promise<void>;

  /** What plan numbers belong to, and the newest of them. */
  identity(): Promise<StoreIdentity>;
  /** Those who have or had something here, sorted. */
  tenants(): Promise<string[]>;

  app(tenant: string, app: string): Promise<AppState | undefined>;
  /** Sorted by name, those after `after`. */
  apps(tenant: string, page: NamePage): Promise<AppState[]>;
  /** With its functions. False when there is none. */
  deleteApp(tenant: string, app: string): Promise<boolean>;

  function(tenant: string, app: string, name: string): Promise<FunctionState | undefined>;
  /** Sorted by name, those after `after`. */
  functions(tenant: string, app: string, page: NamePage): Promise<FunctionState[]>;
  /** With its revisions. `changed`: its version is not the expected one. */
  deleteFunction(
    tenant: string,
    app: string,
    name: string,
    expected?: number,
  ): Promise<"deleted" | "absent" | "changed">;

  revision(tenant: string, app: string, name: string, revision: string): Promise<RevisionState | undefined>;
  /** Newest first, those older than revision number `before`. */
  revisions(tenant: string, app: string, name: string, page: RevisionPage): Promise<RevisionState[]>;

  /** What was set beside colibri.yaml; it changes with the deployment that brings it about, by `createDeployment`. */
  overrides(tenant: string, app: string): Promise<Overrides>;

  /** Which of these claims are held by functions outside of `app`. Another tenant's holder is not named. */
  claimed(tenant: string, app: string, claims: readonly Claim[]): Promise<HeldClaim[]>;

  /** What an idempotency key stands for, if it was used. */
  knownDeployment(tenant: string, idempotency: Idempotency): Promise<KnownDeployment | undefined>;
  /** With an idempotency key that is known: the deployment it made, or `mismatch` if that was asked with another request. */
  createDeployment(tenant: string, deployment: NewDeployment): Promise<CreateOutcome>;
  deployment(tenant: string, id: string): Promise<DeploymentState | undefined>;
  /** Newest first, those with ids before `before`. */
  deployments(tenant: string, page: DeploymentPage): Promise<DeploymentState[]>;
  /** Oldest first. */
  unfinishedDeployments(tenant: string): Promise<DeploymentState[]>;
  /** False, and nothing changed, when there is no such deployment, it has ended, or its state can't follow on the one it has. */
  progress(tenant: string, id: string, progress: Progress): Promise<boolean>;
  /** Those with numbers after `after`, oldest first. */
  events(tenant: string, id: string, after: number, limit: number): Promise<StoredEvent[]>;
  /** Everything in a deployment takes effect, and it is `released`, or nothing does. It has then to be ended. */
  release(tenant: string, release: Release): Promise<ReleaseOutcome>;

  /** Blobs that must be kept: sources and bundles of all revisions and of deployments that have not ended. */
  referencedDigests(tenant: string): Promise<Digest[]>;

  /** Everything there is, in no promised order. */
  plansNow(topic: PlanTopic): Promise<PlanReading>;
  /** The newest state of each key that changed after `after`, oldest change first; undefined when that can't be told. */
  plansSince(topic: PlanTopic, after: number): Promise<PlanReading | undefined>;
}

export interface StoreCapabilities {
  /** Whether what was answered survives `close` and a crash of the process. */
  readonly durable: boolean;
}

export interface StoreIdentity {
  readonly id: string;
  readonly number: number;
}

export interface NamePage {
  readonly after?: string | undefined;
  readonly limit: number;
}

export interface RevisionPage {
  readonly before?: number | undefined;
  readonly limit: number;
}

export interface DeploymentPage {
  readonly app?: string | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

export interface AppState {
  readonly tenant: string;
  readonly app: string;
  /** What its sandboxes may reach. No revision has one of its own, so that an older one does not bring an older policy back. */
  readonly network: NetworkPolicy;
  readonly functions: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export interface PlanReading {
  /** The newest number of all, which the entries include. */
  readonly number: number;
  readonly entries: readonly PlanEntry[];
}

/** The state that a plan is computed from; without one, the plan is gone. */
export type PlanEntry =
  | {
      readonly topic: "routes";
      readonly key: { readonly tenant: string; readonly app: string; readonly function: string };
      readonly state?: { readonly function: FunctionState; readonly revisions: readonly RevisionState[] };
    }
  | {
      readonly topic: "launches";
      readonly key: {
        readonly tenant: string;
        readonly app: string;
        readonly function: string;
        readonly revision: string;
      };
      readonly state?: { readonly revision: RevisionState; readonly network: NetworkPolicy };
    };

/** Every method that answers from the store: drivers that pass calls on, and wrappers, go through this list. */
export const STORE_METHODS = [
  "identity",
  "tenants",
  "app",
  "apps",
  "deleteApp",
  "function",
  "functions",
  "deleteFunction",
  "revision",
  "revisions",
  "overrides",
  "claimed",
  "knownDeployment",
  "createDeployment",
  "deployment",
  "deployments",
  "unfinishedDeployments",
  "progress",
  "events",
  "release",
  "referencedDigests",
  "plansNow",
  "plansSince",
] as const satisfies readonly (keyof Store)[];
export type StoreMethod = (typeof STORE_METHODS)[number];
export type StoreMethods = Pick<Store, StoreMethod>;
export type StoreArguments<M extends StoreMethod> = Parameters<StoreMethods[M]>;
export type StoreAnswer<M extends StoreMethod> = Awaited<ReturnType<StoreMethods[M]>>;

/** A store's methods, every one of which asks `call`. */
export function passOn(
  call: <M extends StoreMethod>(method: M, args: StoreArguments<M>) => Promise<StoreAnswer<M>>,
): StoreMethods {
  const passed = STORE_METHODS.map((method) => [
    method,
    (...args: StoreArguments<typeof method>) => call(method, args),
  ]);
  // Which name goes with which function is lost on the way through a list.
  return Object.fromEntries(passed) as StoreMethods;
}
