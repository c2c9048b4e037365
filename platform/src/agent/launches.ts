import type { Clock } from "#base/clock.ts";
import { PlatformError } from "#contract/errors.ts";
import { type RevisionRef, revisionKey } from "#contract/names.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { LaunchPlans } from "#ports/plans/plans.ts";

/** Launch specs by revision, with patience for one that is on its way: an owner may hear of a revision before the agent does. */
export interface Launches {
  /** @throws PlatformError `unavailable` when it has not come in time. */
  get(revision: RevisionRef): Promise<LaunchSpec>;
  /** Called with each later one of this revision, until what is returned is called. */
  follow(revision: RevisionRef, listener: (spec: LaunchSpec) => void): () => void;
}

export function createLaunches(
  deps: { plans: LaunchPlans; clock: Clock },
  options: { readonly patienceMs: number },
): Launches {
  const waiting = new Map<string, Set<(spec: LaunchSpec) => void>>();
  const following = new Map<string, Set<(spec: LaunchSpec) => void>>();
  deps.plans.onChange((key, spec) => {
    if (spec === undefined) return;
    for (const resolve of waiting.get(key) ?? []) resolve(spec);
    for (const listener of following.get(key) ?? []) listener(spec);
  });

  function wait(key: string): Promise<LaunchSpec> {
    return new Promise((resolve, reject) => {
      const waiters = waiting.get(key) ?? new Set();
      waiting.set(key, waiters);
      const leave = () => {
        deps.clock.cancel(timer);
        waiters.delete(come);
        if (waiters.size === 0) waiting.delete(key);
      };
      const come = (spec: LaunchSpec) => {
        leave();
        resolve(spec);
      };
      const timer = deps.clock.after(options.patienceMs, () => {
        leave();
        const message = `this host has no launch plan for ${key} after ${options.patienceMs} ms: it comes from control, which may be away`;
        reject(new PlatformError("unavailable", message));
      });
      waiters.add(come);
    });
  }

  return {
    async get(revision) {
      const key = revisionKey(revision);
      return deps.plans.get(key) ?? wait(key);
    },
    follow(revision, listener) {
      const key = revisionKey(revision);
      const listeners = following.get(key) ?? new Set();
      following.set(key, listeners.add(listener));
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0 && following.get(key) === listeners) following.delete(key);
      };
    },
  };
}
