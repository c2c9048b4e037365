import assert from "node:assert/strict";
import { test } from "node:test";
import { planSteps, testFilesIn } from "./plan.ts";

const FILES = [
  "cli/run.test.ts",
  "contract/guest/frames.test.ts",
  "guest/node/main.test.ts",
  "platform/src/base/clock.test.ts",
  "platform/src/drivers/sandbox/container/driver.test.ts",
  "test/endtoend/deploy.test.ts",
];

function planned(args: string[], files = FILES) {
  const plan = planSteps(args, files);
  assert.equal(plan.kind, "run");
  return plan.kind === "run" ? plan.steps : [];
}

function filesOf(args: string[] | undefined): string[] {
  return (args ?? []).filter((arg) => arg.endsWith(".test.ts"));
}

test("without arguments everything runs, the slow areas last", () => {
  const names = planned([]).map(({ name }) => name);
  assert.deepEqual(names, [
    "programs",
    "tidy",
    "biome",
    "types",
    "contract",
    "guest",
    "clients",
    "platform",
    "sandboxes",
    "simulation",
    "endtoend",
  ]);
});

test("every test file is in exactly one area", () => {
  const run = planned([]).flatMap(({ args }) => filesOf(args));
  assert.deepEqual(run.toSorted(), FILES);
});

test("an area without files has nothing to run", () => {
  assert.equal(planned(["simulation"])[0]?.args, undefined);
});

test("end-to-end files run one at a time, others do not wait for each other", () => {
  assert.ok(planned(["endtoend"])[0]?.args?.includes("--test-concurrency=1"));
  assert.ok(!planned(["platform"])[0]?.args?.includes("--test-concurrency=1"));
});

test("a folder or a file runs under the rules of its area", () => {
  assert.deepEqual(filesOf(planned(["guest/"])[0]?.args), ["guest/node/main.test.ts"]);
  const step = planned(["./test/endtoend/deploy.test.ts"])[0];
  assert.deepEqual(filesOf(step?.args), ["test/endtoend/deploy.test.ts"]);
  assert.ok(step?.args?.includes("--test-concurrency=1"));
});

test("an area is asked for by its name, or by a folder in it", () => {
  const of = (name: string) => filesOf(planned([name])[0]?.args);
  assert.deepEqual([of("clients"), of("cli")], [["cli/run.test.ts"], ["cli/run.test.ts"]]);
});

test("node's own test options are passed on", () => {
  assert.ok(planned(["contract", "--test-name-pattern=x"])[0]?.args?.includes("--test-name-pattern=x"));
});

test("a wrong name or option is refused with what there is", () => {
  const name = planSteps(["contracts"], FILES);
  assert.ok(name.kind === "refused" && /"contracts".*tidy, biome, types, contract/.test(name.message));
  const option = planSteps(["--quick"], FILES);
  assert.ok(option.kind === "refused" && /--quick.*--bail/.test(option.message));
});

test("tests of fixtures and examples are not ours", () => {
  assert.deepEqual(testFilesIn(["examples/a/x.test.ts", "test/fixtures/b.test.ts", "guest/a.test.ts", "guest/a.ts"]), [
    "guest/a.test.ts",
  ]);
});
