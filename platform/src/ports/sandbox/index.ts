export * from "./metered.ts";
export * from "./sandbox.ts";
