/** A supervisor with three quiet roles, in a process of its own, to be stopped; ends when its standard input does. */
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { readConfig } from "./config.ts";
import { Supervisor } from "./supervisor.ts";

const [folder = "", options = "{}"] = process.argv.slice(2);
const config = { ...readConfig({}, folder), bind: "quiet" };
const say = (text: string) => process.stdout.write(`${text}\n`);
const supervisor = new Supervisor(
  { clock: createSystemClock(), random: createSeededRandom(1), log: createSilentLog() },
  { config: () => config, program: new URL("./role.fixture.ts", import.meta.url), ...JSON.parse(options) },
  {
    ready: (_role, { pid }) => say(`ready ${pid}`),
    refused: (role, message) => say(`refused ${role}: ${message}`),
    ended: (role, how) => say(`ended ${role}: ${how}`),
    output: () => {},
  },
);
for (const role of ["control", "gateway", "agent"] as const) supervisor.start(role);
process.stdin.resume().once("end", async () => {
  await supervisor.stop();
  process.exit(0);
});
