import { DIGEST_RULE, type Digest, isDigest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { isName, NAME_RULE } from "#contract/names.ts";
import type { BlobRange } from "./blobs.ts";

/** Tenants become folder names and object keys: a name means nothing in a path. */
export function checkTenant(tenant: string): void {
  if (isName(tenant)) return;
  throw new PlatformError("request-invalid", `${JSON.stringify(tenant)} is not a tenant: it must be ${NAME_RULE}.`);
}

export function checkKey(tenant: string, digest: Digest): void {
  checkTenant(tenant);
  if (isDigest(digest)) return;
  throw new PlatformError("request-invalid", `${JSON.stringify(digest)} is not a digest: it must be ${DIGEST_RULE}.`);
}

export function checkRange(range: BlobRange | undefined): void {
  if (range === undefined) return;
  const { start, end } = range;
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end) return;
  const rule = "whole numbers, 0 ≤ start ≤ end";
  throw new PlatformError("request-invalid", `The range from ${start} to ${end} can't be read: it must be ${rule}.`);
}
