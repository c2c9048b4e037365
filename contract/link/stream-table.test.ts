import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { StreamTable } from "./stream-table.ts";

interface Item {
  readonly stream: number;
}

describe("a stream table", () => {
  for (let seed = 1; seed <= 20; seed++)
    test(`is what a Map would be, seed ${seed}`, () => {
      const random = createSeededRandom(seed);
      const table = new StreamTable<Item>();
      const expected = new Map<number, Item>();
      let stream = 0;
      for (let step = 0; step < 1_000; step++) {
        // Numbers are skipped, and some wait long: they then collide with later ones.
        stream += 1 + random.below(20);
        const item = { stream };
        table.add(item);
        expected.set(stream, item);
        while (expected.size > random.below(200)) {
          const streams = [...expected.keys()];
          const gone = streams[random.below(streams.length)]!;
          table.delete(gone);
          expected.delete(gone);
          assert.equal(table.get(gone), undefined);
        }
        for (const known of expected.values()) assert.equal(table.get(known.stream), known);
        assert.equal(table.size, expected.size);
      }
      assert.deepEqual(new Set(table.list()), new Set(expected.values()));
      table.clear();
      assert.deepEqual([table.size, table.list()], [0, []]);
    });

  test("takes no notice of a stream that it does not know", () => {
    const table = new StreamTable<Item>();
    table.add({ stream: 64 });
    table.delete(128);
    assert.deepEqual([table.size, table.get(128), table.get(64)], [1, undefined, { stream: 64 }]);
  });
});
