import assert from "node:assert/strict";
import { test } from "node:test";
import { ROUTES } from "#contract/api/routes.ts";
import { OPERATIONS, pathOf, type UsedOperation } from "./operations.ts";

test("the command line knows its routes as the control API's table has them", () => {
  for (const [operation, row] of Object.entries(OPERATIONS)) {
    const { method, path } = ROUTES[operation as UsedOperation];
    assert.deepEqual([...row], [method, path], operation);
  }
});

test("values are encoded, and those that are missing are left out or refused", () => {
  assert.equal(pathOf("checkUpload", { tenant: "a", digest: "sha256:00" }), "/v1/tenants/a/uploads/sha256%3A00");
  assert.equal(
    pathOf("listApps", { tenant: "a/b" }, { cursor: "x&y", limit: undefined }),
    "/v1/tenants/a%2Fb/apps?cursor=x%26y",
  );
  assert.throws(() => pathOf("getApp", { tenant: "a" }), /getApp needs app/);
});
