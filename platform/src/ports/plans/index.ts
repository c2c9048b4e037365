export * from "./plans.ts";
export * from "./table.ts";
