/** Sandboxes come in sizes of whole steps, so that those that wait in a pool fit many revisions. */
const STEP_MIB = 64;

/** The memory that a sandbox for a revision is started with, which is its limit: the revision's, rounded up to the next step. */
export function memoryClassOf(memoryMiB: number): number {
  return Math.max(1, Math.ceil(memoryMiB / STEP_MIB)) * STEP_MIB;
}

/** As people should know it: what a sandbox has, and what was asked for where that is less. */
export function showMemory(memoryMiB: number): string {
  const had = memoryClassOf(memoryMiB);
  return had === memoryMiB ? `${had} MiB` : `${had} MiB (${memoryMiB} rounded up)`;
}
