/** `npm run sim -- random [--seed N] [--seeds COUNT] [--steps N]`: runs a scenario, and names the seed that fails. */
import { parseArgs } from "node:util";
import { runRandom } from "./scenarios/random.ts";

const USAGE = `usage: npm run sim -- random [options]

  random   random deploys, invocations, departures, cut links, deaths of guests, agents and gateways

  --seed <n>    the first seed (1)
  --seeds <n>   how many seeds, one after the other (1)
  --steps <n>   things that happen in each run (400)`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: "string", default: "1" },
      seeds: { type: "string", default: "1" },
      steps: { type: "string", default: "400" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || positionals[0] !== "random") {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  const first = Number(values.seed);
  for (let seed = first; seed < first + Number(values.seeds); seed++) {
    const steps = Number(values.steps);
    try {
      console.log(`seed ${seed}: ${JSON.stringify(await runRandom({ seed, steps }))}`);
    } catch (error) {
      console.error(`seed ${seed} failed; again with: npm run sim -- random --seed ${seed} --steps ${steps}`);
      console.error(error);
      return 1;
    }
  }
  return 0;
}

process.exitCode = await main();
