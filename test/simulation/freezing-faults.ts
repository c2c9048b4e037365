import { type Clock, sleep } from "#base/clock.ts";
import type { Random } from "#base/random.ts";
import { PlatformError } from "#contract/errors.ts";
import type { Sandbox, SandboxDriver } from "#ports/sandbox/index.ts";

/** Of a hundred freezes or thaws. */
const FAIL = 3;
const TAKES_MS = 4;

/** A driver that takes its time to freeze and to thaw, and now and then can't; or that does not freeze at all. */
export function withFreezingFaults(
  driver: SandboxDriver,
  { clock, random }: { clock: Clock; random: Random },
  freezes: boolean,
): SandboxDriver {
  const slowly = async (action: () => Promise<void>) => {
    await sleep(clock, random.below(TAKES_MS));
    if (random.below(100) < FAIL) throw new PlatformError("unavailable", "simulated failure of the kernel");
    await action();
  };
  const wrap = (sandbox: Sandbox): Sandbox => ({
    ...sandbox,
    freeze: () => slowly(() => sandbox.freeze()),
    thaw: () => slowly(() => sandbox.thaw()),
  });
  return {
    ...driver,
    capabilities: { ...driver.capabilities, freeze: freezes },
    start: async (spec) => wrap(await driver.start(spec)),
    async recover(handle) {
      const sandbox = await driver.recover(handle);
      return sandbox && wrap(sandbox);
    },
  };
}
