import type { Digest } from "#contract/digest.ts";
import type { Bundle } from "#ports/sandbox/index.ts";

/** Bundles on this host. */
export interface Bundles {
  /**
   * Fetches what is not here.
   * @throws PlatformError `unavailable` when it can't be had, `no-capacity` when the disk has no room for it.
   */
  hold(tenant: string, digest: Digest): Promise<HeldBundle>;
  /** The longest unused first. */
  digests(): Digest[];
  /** Called after one has come or gone. One listener. */
  onChange(listener: () => void): void;
}

/** Stays on the host until everybody who holds it has released it. */
export interface HeldBundle extends Bundle {
  /** Works twice. */
  release(): void;
}
