import { PlatformError } from "#contract/errors.ts";
import type { RevisionRef } from "#contract/names.ts";
import { maySettle, type PlacementRules } from "#domain/placement/sharing.ts";

/**
 * `newcomer` may be on this host beside those whose code is here; generic sandboxes hold nobody's. Asked before a sandbox is
 * started, and again before it is bound: others may have been bound meanwhile.
 * @throws PlatformError no-capacity
 */
export function requirePlace(
  rules: PlacementRules,
  newcomer: RevisionRef,
  sandboxes: Iterable<{ readonly resident: RevisionRef | undefined }>,
): void {
  const residents = [...sandboxes].flatMap(({ resident }) => resident ?? []);
  const settled = maySettle(rules, newcomer, residents);
  if (settled.kind === "welcome") return;
  const message = `no place for ${newcomer.tenant}/${newcomer.app} on this host: ${settled.reason}`;
  throw new PlatformError("no-capacity", `${message}. Add a host, or change COLIBRI_PLACEMENT`);
}
