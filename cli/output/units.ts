const UNITS = ["KiB", "MiB", "GiB", "TiB"];
const SPANS = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1_000, "s"],
] as const;

/** 1536 → `1.5 KiB`. */
export function showBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

/** 90000 → `1.5m`, 250 → `250ms`. */
export function showSpan(ms: number): string {
  for (const [span, unit] of SPANS) if (ms >= span) return `${Number((ms / span).toFixed(1))}${unit}`;
  return `${Number(ms.toFixed(ms < 10 ? 1 : 0))}ms`;
}

/** How long ago `time` was, roughly. */
export function showAgo(time: string, now: number): string {
  const passed = now - Date.parse(time);
  if (Number.isNaN(passed)) return time;
  for (const [span, unit] of SPANS) if (passed >= span) return `${Math.floor(passed / span)}${unit} ago`;
  return "just now";
}

/** `10m`, `1.5h`, `2d` in milliseconds. */
export function parseSpan(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (!match) return undefined;
  const span = SPANS.find(([, unit]) => unit === match[2])?.[0] ?? 1;
  return Number(match[1]) * span;
}
