import assert from "node:assert/strict";
import { test } from "node:test";

const library = await import("hono").catch(() => undefined);
const skip = library === undefined && "run npm ci --ignore-scripts in this folder first";
const app = library && (await import("./index.mjs")).default;

test("it greets by name, and says so when nothing has changed", { skip }, async () => {
  const answer = await app.request("/hello/Ada");
  assert.deepEqual(await answer.json(), { hello: "Ada" });
  const again = await app.request("/hello/Ada", { headers: { "if-none-match": answer.headers.get("etag") } });
  assert.equal(again.status, 304);
});

test("it sums numbers and refuses what are none", { skip }, async () => {
  const post = (body) => app.request("/sum", { method: "POST", body });
  assert.deepEqual(await (await post("[1, 2, 3.5]")).json(), { sum: 6.5 });
  for (const body of ["", "{}", '["1"]', "[1"]) assert.equal((await post(body)).status, 422);
});

test("text streams through", { skip }, async () => {
  const answer = await app.request("/upper", { method: "POST", body: "grüße" });
  assert.equal(await answer.text(), "GRÜSSE");
});

test("what is not there is 404 in JSON", { skip }, async () => {
  const answer = await app.request("/nothing");
  assert.deepEqual([answer.status, await answer.json()], [404, { error: "There is nothing at GET /nothing." }]);
});
