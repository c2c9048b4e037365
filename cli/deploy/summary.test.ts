import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment } from "#sdk/node/client.ts";
import { deploymentFailure, failedFunctions } from "./summary.ts";

test("of a group, only what failed is counted, and has a code", () => {
  const failed = { state: "failed", error: { code: "build-failed", message: "index.mjs:1: wrong" } } as const;
  const sound = {
    state: "failed",
    error: { code: "build-failed", message: "Not released, because p failed." },
  } as const;
  const deployment = {
    ...{ id: "D1", tenant: "default", app: "shop", state: "failed", createdAt: "", warnings: [] },
    functions: [
      { function: "a", ...sound },
      { function: "p", ...failed },
    ],
  } satisfies Deployment;
  const { message, hints, code } = deploymentFailure(deployment);
  assert.equal(
    message,
    "App shop was not deployed; nothing that is live was changed.\na: Not released, because p failed.\np: index.mjs:1: wrong [build-failed]",
  );
  assert.equal(hints.at(-1), "Deployment D1; 1 function failed.");
  assert.equal(code, "build-failed");
  assert.deepEqual(failedFunctions(deployment), ["p"]);
});
