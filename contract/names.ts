/** Names and ids. Every key, path and table is built from these, so what they admit is what the platform admits. */

/** Lower-case letters, digits and inner hyphens, 1 to 63 characters: safe in paths, hosts, file names and SQL alike. */
export const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** 26 characters of Crockford's base 32: 48 bits of milliseconds, then 80 bits that differ. Ids sort by time. */
const ID = /^[0-9A-HJKMNP-TV-Z]{26}$/;
const REVISION = /^r[1-9][0-9]{0,8}$/;

export const DEFAULT_TENANT = "default";
export const NAME_RULE =
  "lower-case letters, digits and hyphens, 1 to 63 characters, starting and ending with a letter or digit";

export function isName(value: unknown): value is string {
  return typeof value === "string" && NAME.test(value);
}

export function isId(value: unknown): value is string {
  return typeof value === "string" && ID.test(value);
}

/** Revisions of a function are numbered: r1, r2, … */
export function isRevision(value: unknown): value is string {
  return typeof value === "string" && REVISION.test(value);
}

/** What names a function everywhere. */
export interface FunctionRef {
  readonly tenant: string;
  readonly app: string;
  readonly function: string;
}

export interface RevisionRef extends FunctionRef {
  readonly revision: string;
}

/** Key of a function in maps and logs: `tenant/app/function`. */
export function functionKey(ref: FunctionRef): string {
  return `${ref.tenant}/${ref.app}/${ref.function}`;
}

/** Key of a revision in maps and logs: `tenant/app/function@revision`. */
export function revisionKey(ref: RevisionRef): string {
  return `${ref.tenant}/${ref.app}/${ref.function}@${ref.revision}`;
}

/** Path of a function's URL: without the tenant for the default one. */
export function functionPath(ref: FunctionRef): string {
  return ref.tenant === DEFAULT_TENANT
    ? `/fn/${ref.app}/${ref.function}`
    : `/fn/@${ref.tenant}/${ref.app}/${ref.function}`;
}
