import type { GoneCause } from "#contract/agent/link.ts";
import { type RevisionRef, revisionKey } from "#contract/names.ts";
import { boundOf, type PhaseName, type SandboxLife } from "./life.ts";

/** What an owner asks of a sandbox it holds. */
export type OwnerRequest =
  | { readonly kind: "load"; readonly revision: RevisionRef }
  | { readonly kind: "freeze" | "thaw" }
  | { readonly kind: "drain"; readonly graceMs: number }
  | { readonly kind: "release"; readonly cause: GoneCause };

export type Admitted = { readonly kind: "admitted" } | { readonly kind: "refused"; readonly reason: string };

const FITTING: Readonly<Record<OwnerRequest["kind"], readonly PhaseName[]>> = {
  load: ["pending", "loading", "loaded", "initialising", "ready"],
  freeze: ["ready", "frozen"],
  thaw: ["ready", "frozen"],
  drain: ["starting", "pending", "loading", "loaded", "initialising", "ready", "frozen", "draining", "ending"],
  release: ["starting", "pending", "loading", "loaded", "initialising", "ready", "frozen", "draining", "ending"],
};

/** Only the holder of the grant, under its epoch or a newer one, and only what fits the phase. */
export function admit(life: SandboxLife, owner: string, epoch: number, request: OwnerRequest): Admitted {
  const { phase, grant } = life;
  if (grant === undefined || grant.owner !== owner)
    return refused(grant === undefined ? "nobody holds it" : `it is held by ${grant.owner}`);
  if (epoch < grant.epoch) return refused(`epoch ${epoch} is fenced: it is held under epoch ${grant.epoch}`);
  if (!FITTING[request.kind].includes(phase.name))
    return refused(`it is ${phase.name}, and ${request.kind} needs ${FITTING[request.kind].join(" or ")}`);
  const bound = boundOf(phase);
  if (request.kind === "load" && bound !== undefined && revisionKey(bound) !== revisionKey(request.revision))
    return refused(`it is bound to ${revisionKey(bound)} and takes no other revision`);
  return { kind: "admitted" };
}

function refused(reason: string): Admitted {
  return { kind: "refused", reason };
}
