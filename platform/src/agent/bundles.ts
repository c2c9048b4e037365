import type { Digest } from "#contract/digest.ts";
import type { Bundle } from "#ports/sandbox/index.ts";

/** Bundles on this host. */
export interface Bundles {
  /** Fetches what is not here. @throws PlatformError `unavailable` when it can't be had. */
  hold(tenant: string, digest: Digest): Promise<HeldBundle>;
  digests(): Digest[];
}

/** Stays on the host until everybody who holds it has released it. */
export interface HeldBundle extends Bundle {
  /** Works twice. */
  release(): void;
}
