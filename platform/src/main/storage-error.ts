import { storageTrouble } from "#base/storage-trouble.ts";
import { PlatformError } from "#contract/errors.ts";

/** What can be told in one line: told already, or what the disk refused. Undefined for whatever else, such as a bug. */
export function storageError(error: unknown, path?: string): PlatformError | undefined {
  if (error instanceof PlatformError) return error;
  const trouble = storageTrouble(error, path);
  return trouble === undefined ? undefined : new PlatformError("store-unavailable", trouble, { cause: error });
}
