import type { FunctionConfig } from "#contract/api/resources.ts";
import type { Digest } from "#contract/digest.ts";

/** What control asks of the builder: a source archive, already uploaded, becomes a bundle, stored under its digest. */
export interface Builder {
  /**
   * May be asked again for the same source after a restart: same source and same configuration, same digest.
   * @throws PlatformError `build-failed`, `dependencies-failed`, `archive-unsafe`, `archive-too-large`, `runtime-unknown`: the
   * user's to mend; `not-found` when the source is not there. The reason of `signal` when it aborts.
   */
  build(request: BuildRequest, signal: AbortSignal): Promise<BuiltBundle>;
}

export interface BuildRequest {
  readonly tenant: string;
  /** An uploaded archive. */
  readonly source: Digest;
  readonly config: FunctionConfig;
  /** A step begins, or there is something the user should know: one line. */
  onStep(text: string): void;
  /** A line that a tool printed. */
  onOutput(text: string): void;
}

export interface BuiltBundle {
  readonly digest: Digest;
  readonly bytes: number;
}
