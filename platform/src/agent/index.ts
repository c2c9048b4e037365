export * from "./agent.ts";
export * from "./bundle-cache.ts";
export * from "./bundle-preload.ts";
export * from "./bundles.ts";
export * from "./compile-cache.ts";
export * from "./handles.ts";
export * from "./runtimes.ts";
