import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ROUTES } from "#contract/api/routes.ts";
import { OPERATIONS } from "#sdk/node/client/operations.ts";
import { renderApiClient } from "./api-client.ts";
import { formattedApiClient } from "./write-api-client.ts";

test("the client has the operations of the table as they are: tools/write-api-client.ts writes it", () => {
  for (const [path, text] of formattedApiClient()) assert.equal(readFileSync(path, "utf8"), text, path);
  assert.deepEqual(Object.keys(OPERATIONS).sort(), Object.keys(ROUTES).sort());
});

test("a schema that it has no word for stops it", () => {
  const components = { schemas: { Odd: { not: {} } } };
  assert.throws(() => renderApiClient({ components, paths: {} }, {}), /no word for: \{"not":\{\}\}/);
});
