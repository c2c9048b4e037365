import type { FunctionConfig } from "#contract/api/resources.ts";
import type { Digest } from "#contract/digest.ts";

/** What control asks of the builder: a source archive, already uploaded, becomes a bundle, stored under its digest. */
export interface Builder {
  /**
   * May be asked again for the same source after a restart: same source and same configuration, same digest.
   * @throws PlatformError `build-failed`, `dependencies-failed`, `archive-unsafe`, `archive-too-large`: the user's to mend.
   */
  build(request: BuildRequest, signal: AbortSignal): Promise<BuiltBundle>;
}

export interface BuildRequest {
  readonly tenant: string;
  readonly source: Digest;
  readonly config: FunctionConfig;
  /** A step begins: one line for the user. */
  onStep(text: string): void;
  /** What a tool printed. */
  onOutput(text: string): void;
}

export interface BuiltBundle {
  readonly digest: Digest;
  readonly bytes: number;
}
