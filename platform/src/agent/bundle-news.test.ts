import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { Digest } from "#contract/digest.ts";
import { createBundleNews } from "./bundle-news.ts";
import type { Bundles } from "./bundles.ts";

const digestOf = (number: number): Digest => `sha256:${String(number).padStart(64, "0")}`;

function stage() {
  let changed = () => {};
  const held: Digest[] = [];
  const hold = () => assert.fail("nobody holds any here");
  const bundles: Bundles = { hold, digests: () => [...held], onChange: (listener) => (changed = listener) };
  const clock = new SimulatedClock();
  const told: (readonly string[])[] = [];
  const news = createBundleNews({ clock, bundles }, ({ digests }) => told.push(digests));
  const add = (number: number) => {
    held.push(digestOf(number));
    changed();
  };
  return { clock, told, news, add };
}

test("changes within a second are told together, later ones again", async () => {
  const { clock, told, add } = stage();
  add(1);
  await clock.advance(900);
  add(2);
  assert.deepEqual(told, []);
  await clock.advance(100);
  await clock.advance(5_000);
  assert.deepEqual(told, [[digestOf(1), digestOf(2)]]);
  add(3);
  await clock.advance(1_000);
  assert.deepEqual(told[1], [1, 2, 3].map(digestOf));
});

test("of very many, those used last are told", () => {
  const { news, add } = stage();
  for (let number = 0; number < 10_003; number++) add(number);
  const { digests } = news.held();
  assert.deepEqual([digests.length, digests[0], digests.at(-1)], [10_000, digestOf(3), digestOf(10_002)]);
});

test("nothing is told after close", async () => {
  const { clock, told, news, add } = stage();
  add(1);
  news.close();
  add(2);
  await clock.advance(5_000);
  assert.deepEqual(told, []);
});
