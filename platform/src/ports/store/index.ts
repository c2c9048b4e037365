export * from "./deployment.ts";
export * from "./limits.ts";
export * from "./metered.ts";
export * from "./progress.ts";
export * from "./release.ts";
export * from "./store.ts";
