export * from "./blobs.ts";
export * from "./error.ts";
export * from "./key.ts";
export * from "./transfer.ts";
