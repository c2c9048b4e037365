import assert from "node:assert/strict";
import { test } from "node:test";
import { FairShares } from "./fair-shares.ts";

interface Entered {
  readonly leave: (() => void) | undefined;
  readonly wasTaken: () => boolean;
}

function enter(shares: FairShares, holder: string): Entered {
  let taken = false;
  const leave = shares.enter(holder, () => {
    taken = true;
  });
  return { leave, wasTaken: () => taken };
}

test("a holder has its share and no more, and gets a place back that it gave", () => {
  const shares = new FairShares({ perHolder: 2, inAll: 10 });
  const [first, second, third] = [enter(shares, "a"), enter(shares, "a"), enter(shares, "a")];
  assert.equal(third.leave, undefined);
  assert.notEqual(enter(shares, "b").leave, undefined);
  first.leave!();
  first.leave!();
  assert.notEqual(enter(shares, "a").leave, undefined);
  assert.equal(enter(shares, "a").leave, undefined);
  assert.ok(!first.wasTaken() && !second.wasTaken());
});

test("when all are taken, a newcomer gets the oldest of the one with the most", () => {
  const shares = new FairShares({ perHolder: 3, inAll: 5 });
  const small = [enter(shares, "small"), enter(shares, "small")];
  const large = [enter(shares, "large"), enter(shares, "large"), enter(shares, "large")];
  assert.notEqual(enter(shares, "new").leave, undefined);
  assert.deepEqual(
    [...small, ...large].map(({ wasTaken }) => wasTaken()),
    [false, false, true, false, false],
  );
  // Given back already, by being taken.
  large[0]!.leave!();
  assert.equal(enter(shares, "large").leave, undefined);
});

test("who has as many as the one with the most gets no more, and no place too many is ever held", () => {
  const shares = new FairShares({ perHolder: 8, inAll: 12 });
  const all = Array.from({ length: 8 }, () => ["a", "b", "c", "d"].map((holder) => enter(shares, holder))).flat();
  const held = all.filter(({ leave, wasTaken }) => leave !== undefined && !wasTaken());
  assert.equal(held.length, 12);
  const last = ["e", "f"].map((holder) => enter(shares, holder));
  assert.ok(last.every(({ leave }) => leave !== undefined));
  assert.equal([...all, ...last].filter(({ leave, wasTaken }) => leave !== undefined && !wasTaken()).length, 12);
});
