import { DIGEST_RULE, type Digest, isDigest } from "#contract/digest.ts";
import type { BlobRange } from "./blobs.ts";
import { BlobsError } from "./error.ts";

/** Tenants become folder names and object keys, so nothing that means something in a path is admitted. */
const TENANT = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function checkTenant(tenant: string): void {
  if (TENANT.test(tenant)) return;
  const rule = "lower-case letters, digits and inner hyphens, 1 to 63 characters";
  throw new BlobsError("request-invalid", `${JSON.stringify(tenant)} is not a tenant: it must be ${rule}.`);
}

export function checkKey(tenant: string, digest: Digest): void {
  checkTenant(tenant);
  if (isDigest(digest)) return;
  throw new BlobsError("request-invalid", `${JSON.stringify(digest)} is not a digest: it must be ${DIGEST_RULE}.`);
}

export function checkRange(range: BlobRange | undefined): void {
  if (range === undefined) return;
  const { start, end } = range;
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end) return;
  const rule = "whole numbers, 0 ≤ start ≤ end";
  throw new BlobsError("request-invalid", `The range from ${start} to ${end} can't be read: it must be ${rule}.`);
}
