import { createHash } from "node:crypto";
import type { FunctionConfig } from "#contract/api/resources.ts";
import type { AppFunction } from "#contract/config/app-config.ts";
import type { Digest } from "#contract/digest.ts";
import type { Failure } from "#contract/errors.ts";
import { PlatformError } from "#contract/errors.ts";
import { DEFAULT_TENANT, type FunctionRef, functionKey, revisionKey } from "#contract/names.ts";
import { INTERNET } from "#contract/network/policy.ts";
import type { LaunchSpec, RoutePlan } from "#contract/plan/plan.ts";
import { splitConfig } from "#domain/function/function.ts";
import { launchSpec, routePlan } from "#domain/function/plan.ts";
import type { Bundles } from "#platform/agent/index.ts";
import type { Plans } from "#ports/plans/index.ts";
import { UNHURRIED_MS } from "./inspect.ts";

/** What a revision is made of: a folder on this machine, or the reason why there is no code. */
export type DevCode =
  | { readonly kind: "code"; readonly folder: string; readonly handler: string; readonly runtime: string }
  | { readonly kind: "broken"; readonly failure: Failure };

/** Plans that are set here, not followed. */
export interface DevPlans<P> extends Plans<P> {
  put(key: string, plan: P): void;
  remove(key: string): void;
}

export interface RevisionOptions {
  /** Start a sandbox at once, so that the next request finds it. */
  readonly prestart: boolean;
  /** A debugger may hold it: one sandbox, and no deadline. */
  readonly inspected: boolean;
}

const DAY_MS = 86_400_000;

/**
 * The plans of what is run, put as control would put them, and the bundles they name, which are folders of this machine.
 *
 * Owns: the number of each function's last revision, also of one that is gone: should it come again, its sandboxes are not mistaken
 * for those it had. Invariant: a launch plan is there before the route that leads to it.
 */
export class DevRevisions {
  readonly bundles: Bundles;
  readonly #routes: DevPlans<RoutePlan>;
  readonly #launches: DevPlans<LaunchSpec>;
  readonly #options: RevisionOptions;
  readonly #numbers = new Map<string, number>();
  readonly #code = new Map<Digest, DevCode>();
  #changed = () => {};

  constructor(
    plans: { readonly routes: DevPlans<RoutePlan>; readonly launches: DevPlans<LaunchSpec> },
    options: RevisionOptions,
  ) {
    this.#routes = plans.routes;
    this.#launches = plans.launches;
    this.#options = options;
    this.bundles = {
      hold: (_tenant, digest) => this.#hold(digest),
      digests: () => [...this.#code.keys()],
      onChange() {},
    };
  }

  /** Called after `live` has changed. One listener. */
  onChange(listener: () => void): void {
    this.#changed = listener;
  }

  /** How the revisions that callers get are launched. */
  *live(): Iterable<LaunchSpec> {
    for (const [, plan] of this.#routes.entries())
      for (const { revision } of plan.live) {
        const launch = this.#launches.get(revisionKey({ ...plan, revision }));
        if (launch !== undefined) yield launch;
      }
  }

  /** From now on callers get this one. Returns its name. */
  put(ref: FunctionRef, fn: AppFunction, code: DevCode): string {
    const number = (this.#numbers.get(functionKey(ref)) ?? 0) + 1;
    this.#numbers.set(functionKey(ref), number);
    const revision = `r${number}`;
    const digest = digestOf(revisionKey({ ...ref, revision }));
    this.#code.set(digest, code);
    const { policy, config } = this.#splitConfig(fn.config);
    const state = { ...ref, revision, source: digest, bundle: { digest, bytes: 0 }, config, createdAtMs: 0 };
    const own = code.kind === "code" ? { runtime: code.runtime, handler: code.handler } : {};
    // Without walls there is nothing that could be held to another one: whoever runs it says so.
    this.#launches.put(revisionKey(state), { ...launchSpec(state, INTERNET), ...own });
    const live = [{ revision, weight: 100 }];
    const owner = { ...ref, version: number, live, policy, createdAtMs: 0, updatedAtMs: 0 };
    this.#routes.put(functionKey(ref), routePlan(owner, [state]));
    // The one before may still be starting.
    this.#forget(ref, number - 2);
    this.#changed();
    return revision;
  }

  /** It has its sandbox: from now on one that ends is started again when it is wanted, not at once and for ever. */
  settled(ref: FunctionRef, revision: string): void {
    const plan = this.#routes.get(functionKey(ref));
    if (plan === undefined || plan.live[0]?.revision !== revision || plan.policy.scaling.min === 0) return;
    const scaling = { ...plan.policy.scaling, min: 0 };
    this.#routes.put(functionKey(ref), { ...plan, policy: { ...plan.policy, scaling } });
  }

  remove(ref: FunctionRef): void {
    this.#routes.remove(functionKey(ref));
    const last = this.#numbers.get(functionKey(ref)) ?? 0;
    this.#forget(ref, last);
    this.#forget(ref, last - 1);
    this.#changed();
  }

  /** The one that callers get. */
  current(ref: FunctionRef): string | undefined {
    return this.#routes.get(functionKey(ref))?.live[0]?.revision;
  }

  #splitConfig(given: FunctionConfig) {
    const { prestart, inspected } = this.#options;
    const { policy, revision } = splitConfig(given);
    const scaling = { min: prestart ? 1 : 0, max: inspected ? 1 : policy.scaling.max, keepAliveMs: DAY_MS };
    if (!inspected) return { policy: { ...policy, scaling }, config: revision };
    const config = { ...revision, timeoutMs: UNHURRIED_MS, initTimeoutMs: UNHURRIED_MS };
    return { policy: { ...policy, scaling, queue: { ...policy.queue, timeoutMs: UNHURRIED_MS } }, config };
  }

  async #hold(digest: Digest) {
    const code = this.#code.get(digest);
    if (code === undefined) throw new PlatformError("unavailable", "this revision is gone: a newer one has its place");
    if (code.kind === "broken") throw new PlatformError(code.failure.code, code.failure.message);
    return { digest, bytes: 0, folder: code.folder, read: unreadable, release: () => {} };
  }

  #forget(ref: FunctionRef, number: number): void {
    if (number < 1) return;
    const key = revisionKey({ ...ref, revision: `r${number}` });
    this.#launches.remove(key);
    this.#code.delete(digestOf(key));
  }
}

export function refOf(app: string, fn: string): FunctionRef {
  return { tenant: DEFAULT_TENANT, app, function: fn };
}

/** A name, not of bytes: folders that change have no digest. */
function digestOf(key: string): Digest {
  return `sha256:${createHash("sha256").update(key).digest("hex")}`;
}

// biome-ignore lint/correctness/useYield: it never gets so far
async function* unreadable(): AsyncGenerator<Uint8Array> {
  throw new PlatformError("internal", "a folder of this machine is mounted, not read");
}
