import type { SandboxView } from "#contract/agent/link.ts";
import { revisionKey } from "#contract/names.ts";
import type { Invocation } from "#platform/dispatch/invocation.ts";
import type { Caller } from "./caller.ts";
import type { SimulatedCluster } from "./cluster.ts";

class InvariantError extends Error {}

function hold(condition: boolean, message: () => string): void {
  if (!condition) throw new InvariantError(message());
}

/**
 * What must hold in every simulated cluster, at every step:
 *
 * 1. no guest runs more invocations than it has slots;
 * 2. no invocation runs twice;
 * 3. no slot is held by two invocations;
 * 4. nobody is answered twice, or out of order; everybody is settled exactly once;
 * 5. queues, sandboxes of a function, promised memory and pools stay within their bounds;
 * 9. a sandbox is bound to one revision for ever, and only while somebody holds it; one that was held is never pooled again;
 * 10. no slot of a sandbox that dispatch has frozen is used;
 *
 * and, once it is quiet:
 *
 * 6. everybody who waited has been answered;
 * 7. no slot is taken, nobody waits, no start is under way;
 * 8. the guests that live are those the agent knows, and the agent's are those that dispatch holds and those that wait in pools,
 *    which have their minimum.
 */
export class Invariants {
  readonly #runs = new Map<string, number>();
  readonly #settled = new Set<string>();
  readonly #callers: Caller[] = [];
  readonly #bounds = new Map<string, number>();
  /** By sandbox, for ever: who held it first is all that matters of holders. */
  readonly #held = new Set<string>();
  readonly #bound = new Map<string, string>();
  /** Sandboxes that waited in a pool before they were held. */
  readonly #pooled = new Set<string>();
  answered = 0;
  ran = 0;
  frozen = 0;

  submitted(caller: Caller): void {
    this.#callers.push(caller);
  }

  started(invocation: string, active: number, slots: number): void {
    hold(active <= slots, () => `1: a guest with ${slots} slots runs ${active} invocations`);
    const runs = (this.#runs.get(invocation) ?? 0) + 1;
    this.#runs.set(invocation, runs);
    this.ran++;
    hold(runs === 1, () => `2: invocation ${invocation} ran ${runs} times`);
  }

  ended(invocation: string): void {
    hold(this.#runs.has(invocation), () => `2: invocation ${invocation} ended without having begun`);
  }

  settled(invocation: Invocation): void {
    hold(!this.#settled.has(invocation.id), () => `4: invocation ${invocation.id} was settled twice`);
    this.#settled.add(invocation.id);
    this.answered++;
  }

  check(cluster: SimulatedCluster): void {
    this.#checkCallers();
    this.#checkSlots(cluster);
    this.#checkBounds(cluster);
    for (const view of cluster.agent!.sandboxes) this.#checkBinding(view);
    this.#checkFrozen(cluster);
  }

  /** Sandboxes that were taken from a pool. */
  get taken(): number {
    return [...this.#pooled].filter((id) => this.#held.has(id)).length;
  }

  checkQuiet(cluster: SimulatedCluster): void {
    for (const caller of this.#callers) {
      hold(
        caller.gone || caller.answered,
        () => `6: invocation ${caller.id} was never answered (${caller.seen}, ${caller.invocation?.phase})`,
      );
    }
    for (const revision of cluster.dispatch!.revisions()) {
      hold(revision.waiting.length === 0, () => `7: ${revision.waiting.length} still wait for ${revision.key}`);
      hold(revision.running === 0, () => `7: ${revision.running} slots of ${revision.key} are still taken`);
      hold(revision.starting === 0, () => `7: ${revision.starting} starts of ${revision.key} never ended`);
    }
    this.#checkLeaks(cluster);
  }

  /** 8. */
  #checkLeaks(cluster: SimulatedCluster): void {
    const guests = [...cluster.host.guests.keys()].sort().join(" ");
    const views = cluster.agent!.sandboxes;
    const idsOf = (some: readonly SandboxView[]) =>
      some
        .map(({ sandbox }) => sandbox)
        .sort()
        .join(" ");
    const known = idsOf(views);
    const granted = idsOf(views.filter(({ epoch }) => epoch > 0));
    const waiting = views.filter(({ epoch }) => epoch === 0).length;
    const held = [...cluster.dispatch!.revisions()]
      .flatMap(({ sandboxes }) => [...sandboxes.keys()])
      .sort()
      .join(" ");
    hold(guests === known, () => `8: guests ${guests}, but the agent knows ${known}`);
    hold(granted === held, () => `8: the agent has granted ${granted}, but dispatch holds ${held}`);
    hold(waiting >= cluster.pooled.min, () => `8: ${waiting} sandboxes wait in pools, not ${cluster.pooled.min}`);
  }

  /** 9. */
  #checkBinding({ sandbox, state, bound, epoch }: SandboxView): void {
    const generic = epoch === 0 && (state === "starting" || state === "pending");
    if (generic) this.#pooled.add(sandbox);
    hold(!generic || !this.#held.has(sandbox), () => `9: ${sandbox} was held, and is pooled again`);
    if (epoch > 0) this.#held.add(sandbox);
    if (bound === undefined) return;
    const first = this.#bound.get(sandbox) ?? revisionKey(bound);
    this.#bound.set(sandbox, first);
    hold(epoch > 0, () => `9: ${sandbox} is bound to ${first}, but nobody holds it`);
    hold(first === revisionKey(bound), () => `9: ${sandbox} was bound to ${first}, then to ${revisionKey(bound)}`);
  }

  #checkCallers(): void {
    for (const caller of this.#callers)
      hold(caller.mistakes.length === 0, () => `4: invocation ${caller.id}: ${caller.mistakes.join(", ")}`);
  }

  #checkSlots(cluster: SimulatedCluster): void {
    const held = new Map<string, string>();
    for (const { invocation } of cluster.callers) {
      if (invocation === undefined || invocation.sandbox === null || invocation.slot < 0) continue;
      const slot = `${invocation.sandbox.id}#${invocation.slot}`;
      const other = held.get(slot);
      hold(other === undefined, () => `3: slot ${slot} is held by ${other} and ${invocation.id}`);
      held.set(slot, invocation.id);
    }
  }

  #checkBounds(cluster: SimulatedCluster): void {
    for (const revision of cluster.dispatch!.revisions()) {
      const { key, plan, policy } = revision;
      // Lower bounds do not undo what was admitted under higher ones.
      const max = this.#highest(`${key} max`, policy.scaling.max);
      const length = this.#highest(`${key} queue`, policy.queue.length);
      hold(revision.ready <= max, () => `5: ${revision.ready} sandboxes of ${key}, ${max} may be`);
      // Those sent back to the front of the queue were admitted before.
      const most = length + max * plan.concurrency;
      hold(revision.waiting.length <= most, () => `5: ${revision.waiting.length} wait for ${key}, ${most} may`);
    }
    const promised = cluster.agent!.sandboxes.reduce((sum, sandbox) => sum + sandbox.memoryMiB, 0);
    hold(promised <= cluster.capacityMiB, () => `5: ${promised} MiB are promised of ${cluster.capacityMiB}`);
    const pooled = cluster.agent!.sandboxes.filter(({ epoch, state }) => epoch === 0 && state !== "draining").length;
    hold(pooled <= cluster.pooled.max, () => `5: ${pooled} sandboxes are pooled, ${cluster.pooled.max} may be`);
  }

  /** 10. */
  #checkFrozen(cluster: SimulatedCluster): void {
    for (const revision of cluster.dispatch!.revisions()) {
      for (const { id, frozen, used } of revision.sandboxes.values()) {
        if (frozen === "no") continue;
        this.frozen++;
        hold(used === 0, () => `10: ${used} slots of ${id} are used, which is frozen (${frozen})`);
      }
    }
  }

  #highest(bound: string, now: number): number {
    const highest = Math.max(now, this.#bounds.get(bound) ?? 0);
    this.#bounds.set(bound, highest);
    return highest;
  }
}
