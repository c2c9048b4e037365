import assert from "node:assert/strict";
import { test } from "node:test";
import { runRandom } from "./scenarios/random.ts";

const STEPS = 250;

for (let seed = 1; seed <= 12; seed++) {
  test(`random faults: invariants hold; again with: npm run sim -- random --seed ${seed} --steps ${STEPS}`, {
    timeout: 60_000,
  }, async () => {
    const { submitted, ran, pooled, outcomes } = await runRandom({ seed, steps: STEPS });
    assert.ok(submitted > 100 && ran > 50, `too little happened: ${submitted} submitted, ${ran} ran`);
    if (seed % 2 === 0) assert.ok(pooled > 5, `only ${pooled} sandboxes were taken from pools`);
    assert.ok((outcomes.answer ?? 0) > ran / 3, `too few answers: ${JSON.stringify(outcomes)}`);
  });
}

test("sandboxes are frozen in it, and give way to others", { timeout: 60_000 }, async () => {
  const { frozen, evicted } = await runRandom({ seed: 9, steps: STEPS });
  assert.ok(frozen > 500, `hardly anything was frozen: ${frozen} moments`);
  assert.ok(evicted > 5, `hardly anything gave way: ${evicted} sandboxes`);
});

test("the same seed gives the same run", { timeout: 60_000 }, async () => {
  const first = await runRandom({ seed: 77, steps: 120 });
  assert.deepEqual(await runRandom({ seed: 77, steps: 120 }), first);
});
