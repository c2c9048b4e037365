import { stableJson } from "#base/stable-json.ts";
import type { FunctionConfig } from "#contract/api/resources.ts";
import type { Digest } from "#contract/digest.ts";
import { type FunctionPolicy, type RevisionConfig, type RevisionState, splitConfig } from "./function.ts";
import { declaredEnvironment, type Environment } from "./overrides.ts";

/**
 * What a deployment means for one function, from the least to the most:
 * `unchanged` nothing · `policy` no new revision · `configured` a new revision of the same bundle · `build` new code.
 */
export type Change = "unchanged" | "policy" | "configured" | "build";

export interface LiveFunction {
  readonly policy: FunctionPolicy;
  readonly revision: RevisionState;
  /** Whether callers get that revision alone. Of a split the wanted configuration is never "unchanged". */
  readonly whole: boolean;
}

export function changeOf(
  live: LiveFunction | undefined,
  wanted: { readonly source: Digest; readonly config: FunctionConfig; readonly declared?: Environment },
): Change {
  if (live === undefined) return "build";
  const { revision, policy } = splitConfig(wanted.config);
  if (live.revision.source !== wanted.source || !same(buildInputs(live.revision.config), buildInputs(revision)))
    return "build";
  const declared = wanted.declared ?? revision.environment;
  if (!live.whole || !same(live.revision.config, revision)) return "configured";
  // What was overridden keeps what to go back to.
  if (!same(declaredEnvironment(live.revision), declared)) return "configured";
  return same(live.policy, policy) ? "unchanged" : "policy";
}

/** All that a bundle depends on, beside the source. The handler names the file from which TypeScript is bundled. */
function buildInputs(config: RevisionConfig): unknown {
  return { runtime: config.runtime, handler: config.handler, build: config.build };
}

function same(a: unknown, b: unknown): boolean {
  return stableJson(a) === stableJson(b);
}
