import type { Runtime } from "#contract/api/resources.ts";
import { splitRuntime } from "#contract/config/handler.ts";

/** `nodejs24` → nodejs: what agents know it by. */
export function familyOf(runtime: string): string {
  return splitRuntime(runtime)?.family ?? runtime;
}

/** Why functions can't use this runtime here; undefined when they can. */
export function runtimeProblem(wanted: string, known: readonly Runtime[]): string | undefined {
  const asked = splitRuntime(wanted);
  const family = known.filter((runtime) => runtime.name === wanted || runtime.name === asked?.family);
  if (family.length === 0)
    return `There is no runtime "${wanted}". There is: ${known.map((runtime) => runtime.name).join(", ") || "none"}.`;
  const matching = family.filter((runtime) => runtime.name === wanted || hasVersion(runtime, asked?.version));
  if (matching.some((runtime) => runtime.available)) return undefined;
  const found = matching[0] ?? family[0]!;
  if (matching.length > 0) return `The runtime "${wanted}" can't be used on this platform: ${found.detail}`;
  return `There is ${found.name} ${found.version ?? "of unknown version"} here, not "${wanted}": write "${found.name}".`;
}

function hasVersion(runtime: Runtime, wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  return runtime.version === wanted || (runtime.version?.startsWith(`${wanted}.`) ?? false);
}
