/** A sandbox without an invocation, as far as it matters which one gives way. */
export interface Evictable {
  /** What the eviction clock said when it was last used. */
  readonly usedAt: number;
  /** Since when no slot of it was used. */
  readonly idleSinceMs: number | undefined;
  /** Milliseconds that its start took, and would take again. */
  readonly coldMs: number;
}

/** The idle sandboxes of one revision. */
export interface IdleGroup<S extends Evictable> {
  /** Of each. */
  readonly memoryMiB: number;
  /** How many may go; the others are its minimum. */
  readonly spare: number;
  readonly idle: readonly S[];
}

export interface Eviction<S> {
  readonly victims: readonly S[];
  /** What the clock says after it. */
  readonly clock: number;
}

interface Candidate<S> {
  readonly sandbox: S;
  readonly memoryMiB: number;
  readonly priority: number;
}

/** What could be had if all that may give way did. */
export function spareMiB(groups: readonly IdleGroup<Evictable>[]): number {
  return groups.reduce((sum, { memoryMiB, spare, idle }) => sum + memoryMiB * Math.min(spare, idle.length), 0);
}

/**
 * Which idle sandboxes give way for so much memory: those of the lowest priority, and none that the others make needless.
 * Undefined where all together are not enough.
 *
 * Greedy-dual, as in Fuerst & Sharma, "FaasCache: Keeping Serverless Computing Alive with Greedy-Dual Caching" (ASPLOS 2021):
 * priority = clock + frequency × cost / size. The clock is that of the sandbox's last use; an eviction advances it to the
 * priority of the best victim, so that what is not used loses to what is, however dear it was. Cost is the milliseconds of its
 * start, size its MiB. Frequency is 1 here: how often something is used counts by how lately. Of equal priorities the longest
 * idle goes first.
 */
export function chooseVictims<S extends Evictable>(
  groups: readonly IdleGroup<S>[],
  neededMiB: number,
  clock: number,
): Eviction<S> | undefined {
  if (spareMiB(groups) < neededMiB) return undefined;
  const taken: Candidate<S>[] = [];
  let lacksMiB = neededMiB;
  for (const candidate of groups.flatMap(candidatesOf).sort(byPriority)) {
    if (lacksMiB <= 0) break;
    taken.push(candidate);
    lacksMiB -= candidate.memoryMiB;
  }
  const victims = withoutNeedless(taken, -lacksMiB);
  return {
    victims: victims.map(({ sandbox }) => sandbox),
    clock: victims.reduce((most, { priority }) => Math.max(most, priority), clock),
  };
}

/** The best of a revision's are left to it. */
function candidatesOf<S extends Evictable>({ memoryMiB, spare, idle }: IdleGroup<S>): Candidate<S>[] {
  const candidates = idle.map((sandbox) => ({
    sandbox,
    memoryMiB,
    priority: sandbox.usedAt + costOf(sandbox) / memoryMiB,
  }));
  return candidates.sort(byPriority).slice(0, spare);
}

/** To a power of two: two starts of the same function never take the same time, which must not outweigh who was used last. */
function costOf({ coldMs }: Evictable): number {
  return 2 ** Math.round(Math.log2(Math.max(1, coldMs)));
}

function byPriority(one: Candidate<Evictable>, other: Candidate<Evictable>): number {
  return one.priority - other.priority || (one.sandbox.idleSinceMs ?? 0) - (other.sandbox.idleSinceMs ?? 0);
}

/** A large one that comes last may be enough without some before it. The best are spared first. */
function withoutNeedless<S>(taken: readonly Candidate<S>[], surplusMiB: number): Candidate<S>[] {
  let leftMiB = surplusMiB;
  return taken.toReversed().filter(({ memoryMiB }) => {
    if (memoryMiB > leftMiB) return true;
    leftMiB -= memoryMiB;
    return false;
  });
}
