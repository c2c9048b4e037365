export * from "./spawner.ts";
