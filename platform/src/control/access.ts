import { createHash, timingSafeEqual } from "node:crypto";
import type { Permission } from "#contract/api/routes.ts";

/** Who asks, and what they may. */
export interface Principal {
  /** For logs. */
  readonly name: string;
  /** `*`: every tenant. */
  readonly tenant: string;
  readonly permissions: "all" | readonly Permission[];
}

/** One row of the token table: tokens themselves are not kept. */
export interface TokenRow {
  /** SHA-256 of the token, 64 hexadecimal digits. */
  readonly hash: string;
  readonly principal: Principal;
}

export interface Tokens {
  verify(presented: string): Principal | undefined;
}

export const ADMIN: Principal = Object.freeze({ name: "admin", tenant: "*", permissions: "all" });

export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Compares with every row in constant time, so that time tells nothing about any of them. */
export function createTokens(rows: readonly TokenRow[]): Tokens {
  const table = rows.map(({ hash, principal }) => ({ hash: Buffer.from(hash, "hex"), principal }));
  return {
    verify(presented) {
      const hash = createHash("sha256").update(presented).digest();
      let found: Principal | undefined;
      for (const row of table)
        if (row.hash.length === hash.length && timingSafeEqual(row.hash, hash)) found = row.principal;
      return found;
    },
  };
}

export type Access =
  | { readonly kind: "allowed" }
  | { readonly kind: "unauthorized"; readonly message: string }
  | { readonly kind: "forbidden"; readonly message: string };

/** What a request wants: a permission, on a tenant's resources if it names one. */
export interface Wanted {
  readonly permission: Permission;
  readonly tenant: string | undefined;
}

export function checkAccess(tokens: Tokens, authorization: string | undefined, wanted: Wanted): Access {
  if (wanted.permission === "none") return { kind: "allowed" };
  const presented = /^Bearer +([^ ]+) *$/i.exec(authorization ?? "")?.[1];
  if (presented === undefined) return { kind: "unauthorized", message: missing(authorization) };
  const principal = tokens.verify(presented);
  if (principal === undefined)
    return {
      kind: "unauthorized",
      message: "The token is not one of this platform: see the file `token` in its home.",
    };
  return permitted(principal, wanted);
}

function permitted(principal: Principal, { permission, tenant }: Wanted): Access {
  if (tenant !== undefined && principal.tenant !== "*" && principal.tenant !== tenant)
    return { kind: "forbidden", message: `This token is for the tenant "${principal.tenant}", not "${tenant}".` };
  if (principal.permissions === "all" || principal.permissions.includes(permission)) return { kind: "allowed" };
  return { kind: "forbidden", message: `This token lacks the permission "${permission}".` };
}

function missing(authorization: string | undefined): string {
  const why = authorization === undefined ? "No token was sent" : "The Authorization header is not `Bearer <token>`";
  return `${why}: send \`Authorization: Bearer <token>\` with the token in the platform's home.`;
}
