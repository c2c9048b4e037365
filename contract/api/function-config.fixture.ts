import type { FunctionConfig } from "./resources.ts";

/** For tests: what `{ runtime: nodejs, handler: index.mjs }` is with every default. */
export const CONFIG: FunctionConfig = Object.freeze({
  runtime: "nodejs",
  handler: "index.mjs",
  memoryMiB: 128,
  timeoutMs: 30_000,
  initTimeoutMs: 10_000,
  concurrency: 20,
  execution: "loop",
  environment: {},
  build: { installScripts: [] },
  policy: {
    scaling: { min: 0, max: 100, keepAliveMs: 300_000, freezeAfterMs: 60_000 },
    queue: { length: 1_000, timeoutMs: 30_000 },
    limits: { bodyBytes: 104_857_600 },
    triggers: [],
  },
});
