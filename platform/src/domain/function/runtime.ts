import type { Runtime } from "#contract/api/resources.ts";

const NAMED = /^([a-z][a-z-]*?)-?(\d+(?:\.\d+)*)?$/;

/** `nodejs24` → nodejs and 24, `python3.11` → python and 3.11, `fdk` → fdk. */
function parts(runtime: string): { family: string; version: string | undefined } | undefined {
  const match = NAMED.exec(runtime);
  return match === null ? undefined : { family: match[1]!, version: match[2] };
}

/** The runtime without its version: what agents know it by. */
export function runtimeFamily(runtime: string): string {
  return parts(runtime)?.family ?? runtime;
}

/** Why functions can't use this runtime here; undefined when they can. */
export function runtimeProblem(wanted: string, known: readonly Runtime[]): string | undefined {
  const asked = parts(wanted);
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
