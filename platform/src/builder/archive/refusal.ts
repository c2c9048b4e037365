/** Why an archive is not unpacked, or a folder not packed. */
export type RefusalReason =
  | "absolute-path"
  | "path-escape"
  | "bad-name"
  | "path-too-long"
  | "too-deep"
  | "duplicate"
  | "not-a-folder"
  | "link-outside"
  | "bad-link"
  | "special-file"
  | "unknown-type"
  | "too-many-entries"
  | "too-many-bytes"
  | "file-too-large"
  | "compression-ratio"
  | "truncated"
  | "malformed"
  | "trailing-garbage"
  | "unreadable";

export interface Refused {
  readonly kind: "refused";
  readonly reason: RefusalReason;
  /** Names the entry and the rule, for the user who made the archive. */
  readonly message: string;
}

/** Carries a refusal out of the streams in which it was found. Does not leave this folder: see `orRefused`. */
export class Refusal extends Error {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

export function refuse(path: string, reason: RefusalReason, rule: string): never {
  throw new Refusal(reason, `${JSON.stringify(path)} is refused: ${rule}.`);
}

export async function orRefused<T>(run: () => Promise<T>): Promise<T | Refused> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", reason: error.reason, message: error.message };
    throw error;
  }
}
