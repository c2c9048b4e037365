import { usageError } from "../failure.ts";

/** `--path`: what follows a function's address. */
export function checkPath(path = ""): string {
  if (path !== "" && !/^[/?]/.test(path)) throw usageError(`--path "${path}" must begin with / or ?.`);
  const bad = /[^\x21-\x7e]/u.exec(path);
  if (bad) throw usageError(`--path must be percent-encoded: write ${encodeURIComponent(bad[0])} for "${bad[0]}".`);
  return path;
}
