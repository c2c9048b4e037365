import { PlatformError } from "#contract/errors.ts";

export const PAGE_ITEMS = 100;

/** Cursors are opaque, so that what is in them may change. */
function encodeCursor(position: string): string {
  return Buffer.from(position).toString("base64url");
}

/** @throws PlatformError when nobody gave that cursor out. */
export function decodeCursor(cursor: string | undefined, accepts: (position: string) => boolean): string | undefined {
  if (cursor === undefined) return undefined;
  const position = Buffer.from(cursor, "base64url").toString();
  if (accepts(position) && encodeCursor(position) === cursor) return position;
  const message = "cursor: is not one that this address gave out: use `next` of the page before, or leave it out.";
  throw new PlatformError("request-invalid", message, { details: { errors: [{ path: "cursor", message }] } });
}

export interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}

/** Reads one more than is shown, to know whether there is more. */
export async function pageOf<S, T>(
  limit: number,
  read: (limit: number) => Promise<S[]>,
  positionOf: (row: S) => string,
  view: (row: S) => T | Promise<T>,
): Promise<Page<T>> {
  const rows = await read(limit + 1);
  const shown = rows.slice(0, limit);
  const items = await Promise.all(shown.map(view));
  return rows.length > limit ? { items, next: encodeCursor(positionOf(shown.at(-1)!)) } : { items };
}
