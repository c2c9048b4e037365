export type BlobsErrorCode =
  /** The stored bytes are no longer those that the digest names. */
  | "blob-corrupt"
  /** A tenant, digest or range that can't be. */
  | "request-invalid"
  /** The store is not open, is read-only, or the medium below it failed. */
  | "store-unavailable";

export interface BlobsErrorOptions {
  readonly cause?: unknown;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The world failed under the blobs port, or somebody asked for what can't be had. */
export class BlobsError extends Error {
  readonly code: BlobsErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: BlobsErrorCode, message: string, options: BlobsErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "BlobsError";
    this.code = code;
    this.details = options.details ?? {};
  }
}
