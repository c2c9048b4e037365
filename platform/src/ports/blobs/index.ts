export * from "./blobs.ts";
export * from "./key.ts";
export * from "./transfer.ts";
