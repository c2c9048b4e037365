import type { Log } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { functionKey, revisionKey } from "#contract/names.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { LaunchPlans } from "#ports/plans/plans.ts";
import type { BundleCache } from "./bundle-cache.ts";
import { createBundleMeters } from "./bundle-meters.ts";

export interface BundlePreloadDeps {
  readonly launches: Pick<LaunchPlans, "get" | "entries" | "onChange">;
  readonly bundles: Pick<BundleCache, "fetchAhead" | "aheadBytes">;
  readonly log: Log;
  readonly metrics: Metrics;
}

export interface BundlePreload {
  /** Begins with the plans there are, and returns at once. */
  open(): void;
  /** Resolves when nothing is being fetched any more. */
  close(): Promise<void>;
}

/**
 * Fetches bundles when their launch plans come, so that a first request finds them on the host.
 *
 * Owns: what waits to be fetched ahead, newest plans last. Does not own: what there is room for (bundle-cache.ts).
 * Invariants: 1. one is fetched at a time; 2. a plan is tried once: what fails is logged, and fetched when somebody asks for it;
 * 3. of the plans that were there at the start, the newest revision of each function is tried, as far as the bytes allow.
 */
export function createBundlePreload(deps: BundlePreloadDeps): BundlePreload {
  const { preloads } = createBundleMeters(deps.metrics);
  /** By key. */
  const waiting = new Map<string, LaunchSpec>();
  const stop = new AbortController();
  let working: Promise<void> | undefined;
  let opened = false;

  function plan(key: string, spec: LaunchSpec | undefined): void {
    waiting.delete(key);
    if (spec !== undefined) waiting.set(key, spec);
    if (opened) work();
  }

  function work(): void {
    if (stop.signal.aborted || waiting.size === 0) return;
    working ??= drain().finally(() => {
      working = undefined;
      work();
    });
  }

  async function drain(): Promise<void> {
    for (const [key, spec] of waiting) {
      if (stop.signal.aborted) return;
      waiting.delete(key);
      await one(key, spec);
    }
  }

  async function one(key: string, { tenant, bundle }: LaunchSpec): Promise<void> {
    try {
      const did = await deps.bundles.fetchAhead(tenant, bundle.digest as Digest, stop.signal);
      if (did === "fetched") preloads.done.value++;
    } catch (error) {
      if (stop.signal.aborted) return;
      preloads.failed.value++;
      deps.log.warn("a bundle could not be fetched ahead", { revision: key, error });
      // For the others there is no room either.
      if (error instanceof PlatformError && error.code === "no-capacity") waiting.clear();
    }
  }

  deps.launches.onChange((key, spec) => {
    if (opened) plan(key, spec);
  });

  return {
    open() {
      opened = true;
      for (const spec of withinBytes(newest(deps.launches), deps.bundles.aheadBytes)) plan(revisionKey(spec), spec);
    },
    async close() {
      stop.abort(new PlatformError("unavailable", "the agent is closing"));
      await working;
    },
  };
}

/** Of each function. */
function newest(launches: Pick<LaunchPlans, "entries">): LaunchSpec[] {
  const found = new Map<string, LaunchSpec>();
  for (const [, spec] of launches.entries()) {
    const known = found.get(functionKey(spec));
    if (known === undefined || numberOf(spec) > numberOf(known)) found.set(functionKey(spec), spec);
  }
  return [...found.values()];
}

const numberOf = ({ revision }: LaunchSpec) => Number(revision.slice(1));

function* withinBytes(specs: readonly LaunchSpec[], bytes: number): Generator<LaunchSpec> {
  let left = bytes;
  for (const spec of specs) {
    left -= spec.bundle.bytes;
    if (left < 0) return;
    yield spec;
  }
}
