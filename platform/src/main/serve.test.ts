import assert from "node:assert/strict";
import { test } from "node:test";
import { chosenRoles } from "./serve.ts";

test("without a choice all roles run, what others lean on first", () => {
  assert.deepEqual(chosenRoles(undefined), ["control", "spawner", "agent", "async", "gateway"]);
});

test("chosen roles run once each, and an agent never without its spawner", () => {
  assert.deepEqual(chosenRoles("gateway,agent,gateway"), ["spawner", "agent", "gateway"]);
  assert.deepEqual(chosenRoles("async"), ["async"]);
});

test("what is no role is refused, with the roles there are", () => {
  for (const given of ["", "gateway,", "spawner", "gateway agent"])
    assert.throws(() => chosenRoles(given), /there is no role ".*"; the roles are gateway, async, agent, control/);
});
