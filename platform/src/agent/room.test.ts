import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { fails } from "./agent.fixture.ts";
import { Room } from "./room.ts";

/** A host of 256 MiB on which all is promised, to what gives way. */
function createFullRoom() {
  const clock = new SimulatedClock();
  const begun: string[] = [];
  const host = { promisedMiB: 256 };
  const room = new Room({ clock, promisedMiB: () => host.promisedMiB, giveWay: () => true }, 256);
  const enter = (name: string, memoryMiB = 128) =>
    room.enter(memoryMiB, () => {
      begun.push(name);
      host.promisedMiB += memoryMiB;
    });
  return { clock, host, room, begun, enter };
}

test("who waits is let in in the order they came, as far as what has come back goes", async () => {
  const { host, room, begun, enter } = createFullRoom();
  const entering = [enter("first"), enter("second"), enter("third")];
  room.left();
  assert.deepEqual(begun, []);
  host.promisedMiB -= 256;
  room.left();
  assert.deepEqual(begun, ["first", "second"]);
  host.promisedMiB -= 128;
  room.left();
  await Promise.all(entering);
  assert.deepEqual(begun, ["first", "second", "third"]);
  assert.equal(room.waitedFor, false);
});

test("who has waited for too long is told, and the next one may be let in", async () => {
  const { clock, host, begun, enter } = createFullRoom();
  const large = enter("large", 256);
  const small = enter("small", 128);
  host.promisedMiB -= 128;
  await Promise.all([
    assert.rejects(large, fails("no-capacity", /no room for a sandbox of 256 MiB/)),
    clock.advance(10_000),
  ]);
  await small;
  assert.deepEqual(begun, ["small"]);
});

test("closing begins nothing, however much memory is free, and tells everybody who waits", async () => {
  const { host, room, begun, enter } = createFullRoom();
  const entering = [enter("first"), enter("second"), enter("third")];
  host.promisedMiB = 0;
  room.close();
  for (const one of entering) await assert.rejects(one, fails("unavailable", /the agent is closing/));
  await assert.rejects(enter("late"), fails("unavailable", /the agent is closing/));
  assert.deepEqual(begun, []);
});
