/** A process that holds a driver with one sandbox, to be killed: the orders come as JSON in the first argument. */
import { createSystemClock } from "#base/clock.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { createContainerDriver } from "./driver.ts";

const { spec, options } = JSON.parse(process.argv[2] ?? "");
const deps = { network: createSocketNetwork(), clock: createSystemClock(), random: createSystemRandom() };
const driver = createContainerDriver({ ...deps, log: createSilentLog(), networks: undefined }, options);
await driver.open(AbortSignal.timeout(10_000));
const { handle } = await driver.start(spec);
process.stdout.write(`${JSON.stringify(handle)}\n`);
setInterval(() => {}, 60_000);
