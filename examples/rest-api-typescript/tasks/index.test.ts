import assert from "node:assert/strict";
import { test } from "node:test";
import { createHandler } from "./index.ts";
import { createStore } from "./store.ts";

function createApi() {
  const handler = createHandler(createStore(() => new Date("2030-01-01T00:00:00Z")));
  return async (method: string, path: string, input?: unknown, query = {}) => {
    const request = { method, path, query };
    const response = await handler(input, { app: "rest-api", function: "tasks", request });
    const text = await response.text();
    return { status: response.status, headers: response.headers, json: text === "" ? undefined : JSON.parse(text) };
  };
}

test("a task is created, read, changed and deleted", async () => {
  const call = createApi();
  const created = await call("POST", "/", { title: " Buy milk " });
  const task = { id: 1, title: "Buy milk", done: false, created: "2030-01-01T00:00:00.000Z" };
  assert.deepEqual([created.status, created.json], [201, task]);
  assert.equal(created.headers.get("location"), "/fn/rest-api/tasks/1");
  assert.deepEqual((await call("GET", "/1")).json, task);
  assert.deepEqual((await call("PATCH", "/1", { done: true })).json, { ...task, done: true });
  assert.deepEqual((await call("GET", "/", undefined, { done: "true" })).json.length, 1);
  assert.deepEqual((await call("GET", "/", undefined, { done: "false" })).json, []);
  assert.equal((await call("DELETE", "/1")).status, 204);
  for (const method of ["GET", "DELETE"]) assert.equal((await call(method, "/1")).status, 404);
  assert.equal((await call("PATCH", "/1", { done: true })).status, 404);
});

test("what is wrong is told field by field, and nothing is stored", async () => {
  const call = createApi();
  const wrong = await call("POST", "/", { title: "", done: "yes", colour: "red" });
  assert.equal(wrong.status, 422);
  assert.deepEqual(Object.keys(wrong.json.problems), ["title", "done", "colour"]);
  assert.deepEqual((await call("POST", "/", {})).json.problems, { title: "is missing" });
  assert.match((await call("POST", "/", { title: "x".repeat(201) })).json.problems.title, /at most 200/);
  for (const input of [undefined, null, "text", [], new Uint8Array(1)])
    assert.equal((await call("POST", "/", input)).status, 400);
  assert.deepEqual((await call("GET", "/")).json, []);
});

test("a change needs something to change", async () => {
  const call = createApi();
  await call("POST", "/", { title: "a" });
  assert.equal((await call("PATCH", "/1", {})).status, 422);
  assert.equal((await call("PATCH", "/1", { title: 7 })).status, 422);
});

test("other paths and methods are refused by name", async () => {
  const call = createApi();
  for (const path of ["/x", "/1/2", "/01", "/-1"]) assert.equal((await call("GET", path)).status, 404);
  const put = await call("PUT", "/");
  assert.deepEqual([put.status, put.headers.get("allow")], [405, "GET, HEAD, POST"]);
  assert.equal((await call("POST", "/1", {})).status, 405);
  assert.equal((await call("GET", "/", undefined, { done: "maybe" })).status, 400);
});
