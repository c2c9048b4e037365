import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parseAppConfig } from "#contract/config/app-config.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { createDependencies } from "./dependencies.ts";

const TEXT = "app: shop\nfunctions:\n  f: { runtime: nodejs }\n";

test("two functions of one folder install one after the other", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "colibri-dev-dependencies-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const source = join(folder, "source");
  mkdirSync(source);
  writeFileSync(join(source, "package.json"), '{"dependencies":{"left-pad":"1"}}');
  const blobs = createFilesystemBlobs({ root: join(folder, "blobs"), readOnly: false });
  await blobs.open(new AbortController().signal);
  t.after(() => blobs.close());
  let [running, most, builds] = [0, 0, 0];
  const build = async ({ source: digest }: { source: string }) => {
    most = Math.max(most, ++running);
    builds++;
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    if (builds === 1) throw new Error("the registry is away");
    return { digest };
  };
  let ids = 0;
  const dependencies = createDependencies(
    { builder: { build } as never, blobs, ids: { next: () => String(++ids) } as never, note() {} },
    { scratch: join(folder, "scratch"), python: undefined, virtualEnv: undefined },
  );
  const parsed = parseAppConfig(TEXT, { exists: () => true });
  assert.ok(parsed.kind === "config");
  const { config } = parsed.config.functions.f!;
  const { signal } = new AbortController();
  const found = await Promise.allSettled(
    ["one", "two", "three"].map((name) => dependencies.nodejs({ name, source, config }, signal)),
  );
  assert.deepEqual([most, builds], [1, 3]);
  assert.deepEqual(
    found.map(({ status }) => status),
    ["rejected", "fulfilled", "fulfilled"],
  );
});
