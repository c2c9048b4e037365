import type { Clock } from "#base/clock.ts";

/** Passes a build's steps on as they begin, and can say at the end how long each took. */
export interface Steps {
  begin(text: string): void;
  /** How long all took, and those that took a part worth telling. */
  summary(): string;
}

const TOLD_MS = 100;

export function createSteps(clock: Clock, tell: (text: string) => void): Steps {
  const startedMs = clock.monotonic();
  const begun: { readonly text: string; readonly atMs: number }[] = [];
  return {
    begin(text) {
      begun.push({ text, atMs: clock.monotonic() });
      tell(text);
    },
    summary() {
      const endMs = clock.monotonic();
      const told = begun
        .map(({ text, atMs }, index) => ({ text, tookMs: (begun[index + 1]?.atMs ?? endMs) - atMs }))
        .filter(({ tookMs }) => tookMs >= TOLD_MS)
        .map(({ text, tookMs }) => `${text[0]?.toLowerCase()}${text.slice(1)} ${seconds(tookMs)}`);
      const parts = told.length > 1 || endMs - startedMs >= 2 * TOLD_MS ? told : [];
      return `Built in ${seconds(endMs - startedMs)}${parts.length > 0 ? `: ${parts.join("; ")}` : ""}`;
    },
  };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)}s`;
}
