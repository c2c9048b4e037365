import assert from "node:assert/strict";
import { test } from "node:test";
import { holdToVectors, readVectors } from "../link/message-vectors.ts";
import { parse } from "../shape.ts";
import { planCopy, planEvents, planProblem, planQuestions, planRequests } from "./plan.ts";

const vectors = readVectors(new URL("./vectors.json", import.meta.url));
type Entries = { entries: { key: string; plan: Record<string, unknown> }[] };
const planOf = (kind: string) => {
  const found = vectors.valid.find(({ name }) => name === kind)?.value as Entries;
  return found.entries[0]!;
};
const route = planOf("snapshot");
const launch = planOf("changes");

test("messages are the bytes that the vectors say, and nothing else is taken", () => {
  holdToVectors(vectors, { ...planRequests, ...planQuestions }, planEvents);
});

test("a plan is told from what is none, by the place where it goes wrong", () => {
  const live = (...parts: unknown[]) => ({ ...route.plan, live: parts });
  for (const [topic, key, value, problem] of [
    ["routes", route.key, route.plan, undefined],
    ["launches", launch.key, launch.plan, undefined],
    ["routes", "acme/shop/other", route.plan, ": a plan of acme/shop/thumb under this key"],
    ["launches", "acme/shop/thumb@r4", launch.plan, ": a spec of acme/shop/thumb@r3 under this key"],
    ["routes", route.key, live({ revision: "r9", weight: 100 }), ".live: r9 is not among .revisions"],
    ["routes", route.key, live({ revision: "r3", weight: 90 }), ".live: weights add up to 90, not 100"],
    ["routes", route.key, live(), ".live: weights add up to 0, not 100"],
    ["routes", route.key, { ...route.plan, policy: {} }, ".policy.scaling: expected an object, got undefined"],
    ["routes", route.key, null, ": expected an object, got null"],
    [
      "launches",
      launch.key,
      { ...launch.plan, execution: "fork" },
      '.execution: expected one of loop, threads, process, got "fork"',
    ],
    ["launches", launch.key, { ...launch.plan, network: undefined }, ".network: expected an object, got undefined"],
    [
      "launches",
      launch.key,
      { ...launch.plan, network: { kind: "open" } },
      '.network.kind: expected one of none, internet, allow, got "open"',
    ],
    ["launches", launch.key, route.plan, ".revision: expected a revision, got undefined"],
  ] as const)
    assert.equal(planProblem(topic, key, value), problem);
});

test("a copy on disk of another version is not taken for one of this", () => {
  const copy = { version: 1, topic: "routes", store: "s1", number: 3, entries: { [route.key]: route.plan } };
  assert.deepEqual(parse(planCopy, copy, "copy"), copy);
  assert.throws(
    () => parse(planCopy, { ...copy, version: 2 }, "copy"),
    /^ShapeError: copy.version: expected an integer/,
  );
  assert.throws(() => parse(planCopy, { ...copy, entries: [] }, "copy"), /copy.entries: expected an object/);
});
