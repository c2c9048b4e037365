import assert from "node:assert/strict";
import { test } from "node:test";
import { familyOf, runtimeProblem } from "./runtime.ts";

const KNOWN = [
  { name: "nodejs", version: "24.21.0", available: true, detail: "" },
  { name: "python", version: "3.11.2", available: false, detail: "python3 is not installed" },
];

test("a runtime may be written with as much of its version as one likes", () => {
  for (const wanted of ["nodejs", "nodejs24", "nodejs24.21", "nodejs24.21.0", "nodejs-24"])
    assert.equal(runtimeProblem(wanted, KNOWN), undefined, wanted);
});

test("why not: unknown, another version, not usable here", () => {
  assert.equal(runtimeProblem("cobol", KNOWN), 'There is no runtime "cobol". There is: nodejs, python.');
  assert.match(runtimeProblem("nodejs2", KNOWN) ?? "", /nodejs 24\.21\.0 here, not "nodejs2": write "nodejs"/);
  assert.match(runtimeProblem("python3.11", KNOWN) ?? "", /can't be used on this platform: python3 is not installed/);
  assert.match(runtimeProblem("Node JS", []) ?? "", /There is: none/);
});

test("agents know families", () => {
  assert.deepEqual(["nodejs24", "python3.11", "nodejs"].map(familyOf), ["nodejs", "python", "nodejs"]);
});
