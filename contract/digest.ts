/** A content address: `sha256:` and 64 lower-case hexadecimal digits. */
export type Digest = `sha256:${string}`;
