import type { FunctionResource } from "#sdk/node/client.ts";

/** `r3`, or `r3 90% r2 10%` for a split. */
export function showLive(live: FunctionResource["live"]): string {
  const total = live.reduce((sum, { weight }) => sum + weight, 0);
  if (live.length === 1) return live[0]!.revision;
  return live.map(({ revision, weight }) => `${revision} ${Math.round((100 * weight) / (total || 1))}%`).join(" ");
}

export function showScaling({ min, max }: { readonly min: number; readonly max: number }): string {
  return `${min}–${max}`;
}

/** Control tells the path; the address is the gateway's. */
export function showFunctionUrl(functionsUrl: string, url: string): string {
  return url.startsWith("/") ? functionsUrl + url : url;
}

/** As much of a digest as tells it from others. */
export function showDigest(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}
