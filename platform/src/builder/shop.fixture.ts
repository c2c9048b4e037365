import assert from "node:assert/strict";
import { after, before } from "node:test";
import { PlatformError } from "#contract/errors.ts";
import { createMemoryBlobs } from "#drivers/blobs/memory/driver.ts";
import { inWorkshop, type Registry, startRegistry, type Workshop, type WorkshopOptions } from "./builder.fixture.ts";

export const blobs = createMemoryBlobs({ now: () => Date.now() });
export const { PATH } = process.env;
export let registry: Registry;

before(async () => {
  await blobs.open(AbortSignal.timeout(1_000));
  registry = await startRegistry();
});
after(async () => {
  await registry.close();
  await blobs.close();
});

/** Every test ends with a builder that left nothing behind. */
export function inShop(use: (shop: Workshop) => Promise<void>, options: Partial<WorkshopOptions> = {}): Promise<void> {
  const { environment, ...others } = options;
  // Nobody needs to wait between two tries on this machine.
  const retries = { npm_config_fetch_retry_mintimeout: "10", npm_config_fetch_retry_maxtimeout: "20" };
  const urls = { npm_config_registry: registry.url, PIP_INDEX_URL: `${registry.url}/simple` };
  return inWorkshop(blobs, { environment: { PATH, ...retries, ...urls, ...environment }, ...others }, async (shop) => {
    await use(shop);
    assert.deepEqual(await shop.leftovers(), [], "a build left something behind");
  });
}

/** Code and message of the error. */
export async function failureOf(building: Promise<unknown>): Promise<string> {
  try {
    await building;
  } catch (error) {
    if (error instanceof PlatformError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error("it was built");
}

export const HANDLER = { "index.mjs": "export default () => 1;\n" };
export const PYTHON = { runtime: "python", handler: "handler.py" };
export const PYTHON_HANDLER = { "handler.py": "def handler(input, context): return 1\n" };
