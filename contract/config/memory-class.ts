/** Sandboxes come in sizes of whole steps, so that those that wait in a pool fit many revisions. */
const STEP_MIB = 64;

/** The memory that a sandbox for a revision is started with, which is its limit: the revision's, rounded up to the next step. */
export function memoryClassOf(memoryMiB: number): number {
  return Math.max(1, Math.ceil(memoryMiB / STEP_MIB)) * STEP_MIB;
}
