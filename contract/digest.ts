/** Digests name content: the SHA-256 of the bytes, as `sha256:` and 64 lower-case hexadecimal digits. */

export type Digest = `sha256:${string}`;

const DIGEST = /^sha256:[0-9a-f]{64}$/;
export const DIGEST_RULE = "sha256: followed by 64 lower-case hexadecimal digits";

export function isDigest(value: unknown): value is Digest {
  return typeof value === "string" && DIGEST.test(value);
}

/** The digest that `text` is, or undefined. */
export function parseDigest(text: string): Digest | undefined {
  return isDigest(text) ? text : undefined;
}

/** The 64 hexadecimal digits alone. */
export function digestHex(digest: Digest): string {
  return digest.slice("sha256:".length);
}
