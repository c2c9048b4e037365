import assert from "node:assert/strict";
import { test } from "node:test";
import { INTERNET } from "#contract/network/policy.ts";
import type { Surroundings } from "../surroundings.ts";
import { LocalFunctions } from "./local.ts";

test("the log of an invocation that dev never tells of is what came so far", { timeout: 10_000 }, async () => {
  const { stdout, stderr, env } = process;
  const options = { folder: "/", config: { app: "shop", network: INTERNET, functions: {} }, verbose: false };
  const functions = new LocalFunctions({ stdout, stderr, env } as unknown as Surroundings, options);
  assert.deepEqual(await functions.logOf("01"), []);
  assert.deepEqual(await functions.logOf(undefined), []);
});
