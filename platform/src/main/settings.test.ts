import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "./config.ts";
import { doubtsOf, settingsInForce } from "./settings.ts";

const MACHINE_MIB = 10_240;

function doubts(environment: Record<string, string>): string[] {
  const found = doubtsOf(readConfig(environment, "/"), environment, MACHINE_MIB);
  return found.map(({ what, remedy }) => `${what} → ${remedy}`);
}

test("what changes pool, capacity, roots and placement is told, and nothing else", () => {
  assert.equal(settingsInForce({ COLIBRI_HOME: "/srv", COLIBRI_POOL: "" }), "");
  const set = { COLIBRI_CAPACITY: "4GiB", COLIBRI_POOL: "off", COLIBRI_PORT: "0" };
  assert.equal(settingsInForce(set), "COLIBRI_POOL=off COLIBRI_CAPACITY=4GiB");
});

test("usual settings raise no doubt", () => {
  assert.deepEqual(doubts({}), []);
  const all = {
    COLIBRI_POOL: "nodejs:128=2..8",
    COLIBRI_CAPACITY: "10GiB",
    COLIBRI_ROOTFS: "/srv",
    COLIBRI_URL: "http://x",
  };
  assert.deepEqual(doubts({ ...all, COLIBRI_SANDBOX: "container", PATH: "/bin" }), []);
});

test("a variable that there is not is told, with the one that was probably meant", () => {
  assert.deepEqual(doubts({ COLIBRI_SANDBX: "container", COLIBRI_XYZZY_PLUGH: "1" }), [
    "COLIBRI_SANDBX is no variable of Colibri's, and has no effect → did you mean COLIBRI_SANDBOX?",
    "COLIBRI_XYZZY_PLUGH is no variable of Colibri's, and has no effect → unset COLIBRI_XYZZY_PLUGH",
  ]);
});

test("more than the machine has, and pools that never fit", () => {
  assert.match(doubts({ COLIBRI_CAPACITY: "900GiB" }).join(), /promises sandboxes 900GiB, and this machine has 10GiB/);
  const never = /minimums of COLIBRI_POOL take 125GiB, and all .* promised 8GiB: they never fit/;
  assert.match(doubts({ COLIBRI_POOL: "nodejs:128=1000..2000" }).join(), never);
  assert.match(doubts({ COLIBRI_POOL: "nodejs:128=5", COLIBRI_CAPACITY: "512MiB" }).join(), /promised 512MiB/);
  assert.deepEqual(doubts({ COLIBRI_POOL: "nodejs:128=4", COLIBRI_CAPACITY: "512MiB" }), []);
});

test("what is for containers has no effect on processes", () => {
  const given = { COLIBRI_ROOTFS: "/srv", COLIBRI_OCI_RUNTIME: "crun" };
  assert.deepEqual(doubts(given), []);
  assert.deepEqual(doubts({ ...given, COLIBRI_SANDBOX: "process" }), [
    "COLIBRI_OCI_RUNTIME is for containers, and has no effect with COLIBRI_SANDBOX=process → unset COLIBRI_OCI_RUNTIME, or COLIBRI_SANDBOX",
    "COLIBRI_ROOTFS is for containers, and has no effect with COLIBRI_SANDBOX=process → unset COLIBRI_ROOTFS, or COLIBRI_SANDBOX",
  ]);
});
