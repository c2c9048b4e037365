import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { chooseVictims, type Evictable, type IdleGroup, spareMiB } from "./eviction.ts";

interface Named extends Evictable {
  readonly name: string;
}

function idle(name: string, known: Partial<Evictable> = {}): Named {
  return { name, usedAt: 0, idleSinceMs: 0, coldMs: 128, ...known };
}

function group(memoryMiB: number, sandboxes: readonly Named[], spare = sandboxes.length): IdleGroup<Named> {
  return { memoryMiB, spare, idle: sandboxes };
}

function named(groups: readonly IdleGroup<Named>[], neededMiB: number, clock = 0): string | undefined {
  return chooseVictims(groups, neededMiB, clock)
    ?.victims.map(({ name }) => name)
    .sort()
    .join(" ");
}

test("what was cheap to start for its size goes first", () => {
  const groups = [group(128, [idle("dear", { coldMs: 1_000 }), idle("cheap", { coldMs: 100 })])];
  assert.equal(named(groups, 128), "cheap");
  assert.equal(named([group(64, [idle("small")]), group(256, [idle("large")])], 64), "large");
});

test("of what costs about the same the longest idle goes first", () => {
  const groups = [group(128, [idle("late", { idleSinceMs: 9, coldMs: 95 }), idle("early", { coldMs: 120 })])];
  assert.equal(named(groups, 128), "early");
});

test("the clock advances to the victim's priority, so that what is dear and not used goes too in the end", () => {
  const dear = idle("dear", { coldMs: 512 });
  let clock = 0;
  let rounds = 0;
  for (let victim = ""; victim !== "dear"; rounds++) {
    assert.ok(rounds < 10, "it stays for ever");
    const cheap = idle("cheap", { usedAt: clock, idleSinceMs: 1 });
    const chosen = chooseVictims([group(128, [dear, cheap])], 128, clock)!;
    victim = chosen.victims[0]!.name;
    assert.equal(chosen.clock, victim === "dear" ? 4 : clock + 1);
    clock = chosen.clock;
  }
  assert.equal(rounds, 4, "1, 2, 3, and of two priorities of 4 the one idle for longer");
});

test("the clock never goes back", () => {
  assert.equal(chooseVictims([group(128, [idle("old")])], 128, 7)!.clock, 7);
});

test("a revision keeps its minimum, and of its own the best", () => {
  const three = [idle("b", { usedAt: 2 }), idle("a", { usedAt: 1 }), idle("c", { usedAt: 3 })];
  assert.equal(named([group(128, three, 2)], 256), "a b");
  assert.equal(named([group(128, three, 2)], 257), undefined);
  assert.equal(named([group(128, three, 0)], 1), undefined);
});

test("nobody goes where all together are not enough", () => {
  assert.equal(named([group(128, [idle("a"), idle("b")])], 512), undefined);
});

test("a large one makes small ones needless", () => {
  const small = [idle("a"), idle("b", { usedAt: 1 })];
  const groups = [group(64, small), group(256, [idle("large", { usedAt: 9 })])];
  assert.equal(named(groups, 128), "a b");
  assert.equal(named(groups, 256), "large");
  assert.equal(named(groups, 300), "a large");
});

test("whatever there is: enough goes, within what may, and nothing that could stay", () => {
  const random = createSeededRandom(11);
  let refused = 0;
  for (let run = 0; run < 2_000; run++) {
    const groups = Array.from({ length: random.below(5) }, (_, of) => {
      const sandboxes = Array.from({ length: random.below(5) }, (_, index) =>
        idle(`${of}.${index}`, { usedAt: random.below(9), coldMs: random.below(2_000), idleSinceMs: random.below(99) }),
      );
      return group(64 * (1 + random.below(4)), sandboxes, random.below(sandboxes.length + 2));
    });
    const neededMiB = 1 + random.below(1_200);
    const chosen = chooseVictims(groups, neededMiB, 0);
    assert.equal(chosen === undefined, spareMiB(groups) < neededMiB);
    if (chosen === undefined) {
      refused++;
      continue;
    }
    const goes = groups.map((each) => each.idle.filter((sandbox) => chosen.victims.includes(sandbox)).length);
    const freed = groups.reduce((sum, { memoryMiB }, index) => sum + memoryMiB * goes[index]!, 0);
    assert.ok(freed >= neededMiB);
    for (const [index, { memoryMiB, spare }] of groups.entries()) {
      assert.ok(goes[index]! <= spare, `${goes[index]} go, ${spare} may`);
      if (goes[index]! > 0) assert.ok(freed - memoryMiB < neededMiB, "one of them could have stayed");
    }
  }
  assert.ok(refused > 100 && refused < 1_900, `${refused} refused`);
});
