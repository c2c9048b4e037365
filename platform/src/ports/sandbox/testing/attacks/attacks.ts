import { attackByFlood } from "./floods.ts";
import { attackTheKernel } from "./kernel.ts";
import { attackByReading } from "./reading.ts";
import { attackBySocket } from "./sockets.ts";
import { type AttackSuite, createStage } from "./stage.ts";

/**
 * Every driver that claims isolation runs this, each suite in a `describe` of its own. An attack is a function (functions/) that
 * tries, and a test that says what must hold, by what the host sees and not by the attacker's word alone.
 */
export function testAttacks(suite: AttackSuite): void {
  const stage = createStage(suite);
  attackByReading(stage);
  attackTheKernel(stage);
  attackBySocket(stage);
  attackByFlood(stage);
}
