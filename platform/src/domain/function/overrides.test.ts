import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import { splitConfig } from "./function.ts";
import {
  changedOverrides,
  declaredEnvironment,
  NO_OVERRIDES,
  overridden,
  overriddenNames,
  withoutFunction,
} from "./overrides.ts";

test("what is set for a function counts before its app's, and that before colibri.yaml", () => {
  const overrides = { app: { A: "app", B: "app" }, functions: { hello: { A: "hello" } } };
  const config = { ...CONFIG, environment: { A: "file", B: "file", C: "file" } };
  assert.deepEqual(overridden(config, overrides, "hello").environment, { A: "hello", B: "app", C: "file" });
  assert.deepEqual(overridden(config, overrides, "other").environment, { A: "app", B: "app", C: "file" });
});

test("setting and unsetting, for the app and for a function", () => {
  const first = changedOverrides(NO_OVERRIDES, { set: { A: "1", B: "2" }, unset: [] });
  const second = changedOverrides(first, { function: "hello", set: { A: "3" }, unset: ["B"] });
  assert.deepEqual(second, { app: { A: "1", B: "2" }, functions: { hello: { A: "3" } } });
  assert.deepEqual(changedOverrides(second, { set: {}, unset: ["A", "none"] }).app, { B: "2" });
  assert.deepEqual(changedOverrides(second, { function: "hello", set: {}, unset: ["A"] }), first);
  assert.deepEqual(withoutFunction(second, "hello"), first);
  assert.deepEqual(NO_OVERRIDES, { app: {}, functions: {} });
});

test("names that objects have of themselves are names like others", () => {
  const set = Object.fromEntries([["__proto__", "1"]]);
  const overrides = changedOverrides(NO_OVERRIDES, { function: "constructor", set, unset: [] });
  assert.deepEqual(Object.entries(overridden(CONFIG, overrides, "constructor").environment), [["__proto__", "1"]]);
});

test("what a revision has otherwise than its file", () => {
  const config = { ...splitConfig(CONFIG).revision, environment: { A: "1", B: "2", C: "3" } };
  assert.deepEqual(overriddenNames({ config }), []);
  assert.deepEqual(overriddenNames({ config, declared: { A: "1", B: "file" } }), ["B", "C"]);
  assert.deepEqual(declaredEnvironment({ config }), config.environment);
  assert.deepEqual(declaredEnvironment({ config, declared: {} }), {});
});
