/** `npm run bench -- <bench> [name] [--json] [--against <ref>] [--rounds N] [--seconds N] [--samples N]` */
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { benchBundles } from "./bundles.ts";
import { benchChurn } from "./churn.ts";
import { benchCold } from "./cold.ts";
import { benchDensity } from "./density.ts";
import { benchFreeze } from "./freeze.ts";
import { benchHops } from "./hops.ts";
import { checkoutRef, HERE } from "./lib/checkout.ts";
import { machine, printTable, type Row, type Target } from "./lib/report.ts";
import { benchPorts, PORTS } from "./ports.ts";
import { benchRefill } from "./refill.ts";
import { benchReload } from "./reload.ts";
import { benchStart } from "./start.ts";
import { benchTemplates } from "./templates.ts";
import { benchWarm } from "./warm.ts";

interface Settings {
  readonly against: string | undefined;
  readonly rounds: number;
  readonly seconds: number;
  /** Undefined: as many as the bench wants. */
  readonly samples: number | undefined;
}

/** Each with the word behind its own, where it takes one. */
const BENCHES: Readonly<Record<string, (settings: Settings, name: string | undefined) => Promise<Row[]>>> = {
  warm: (settings) => compare(settings, (targets) => benchWarm(targets, settings)),
  start: (settings) => compare(settings, (targets) => benchStart(targets, { samples: settings.samples ?? 50 })),
  reload: (settings) => compare(settings, (targets) => benchReload(targets, { samples: settings.samples ?? 50 })),
  cold: ({ samples = 500 }) => benchCold({ samples }),
  refill: ({ samples = 50 }) => benchRefill({ samples }),
  density: ({ samples = 500 }) => benchDensity({ samples }),
  churn: ({ samples = 1_000 }) => benchChurn({ samples }),
  freeze: (settings) => compare(settings, (targets) => benchFreeze(targets, { samples: settings.samples ?? 50 })),
  bundles: ({ samples = 31 }) => benchBundles({ samples }),
  hops: () => benchHops(),
  ports: (_settings, port) => benchPorts(port, tmpdir()),
  templates: () => benchTemplates(),
};

const USAGE = `usage: npm run bench -- <bench> [options], where a bench is

  warm    throughput and latency at 1, 32 and 128 connections, beside nginx and the handler called directly
  start   cold starts with an empty pool, beside a bare Node server
  freeze  the first answer of an idle sandbox, one that was frozen beside one that was not
  bundles hits and misses of the bundle cache, and loading with and without compiled code
  reload  from a save to the first new answer of \`colibri dev\`, beside node --watch, nodemon and wrangler dev
  cold    starts of container sandboxes: from the pool, with a bundle that is not on the host, without a pool
  refill  how fast a pool of sandboxes fills up again, and what each takes
  density what sandboxes that do nothing take of the host, waiting in the pool and bound
  churn   whether anything is left of sandboxes that were started and stopped
  hops    what our own code costs in each hop of the hot path, beside its budget
  ports   each driver by the bench of its port: all, or the one named (${PORTS.join(", ")})
  templates   each template from nothing to its first answer: init, deploy, call

  --json            rows as JSON
  --against <ref>   measure that commit too, in alternation
  --rounds <n>      warm: rounds, medians are shown (5)
  --seconds <n>     warm: length of one measurement (4)
  --samples <n>     start: cold starts of each runtime (50); reload: saves (50); cold: starts from the pool (500);
                    refill: sandboxes in the pool (50); density: sandboxes at once (500); churn: starts and stops (1000)`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      against: { type: "string" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "4" },
      samples: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [bench = "", name] = positionals;
  const run = Object.hasOwn(BENCHES, bench) ? BENCHES[bench] : undefined;
  if (values.help || run === undefined) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  if (bench === "ports" && name !== undefined && !PORTS.includes(name)) {
    console.error(`bench: no port "${name}" has a bench; there is ${PORTS.join(", ")}`);
    return 2;
  }
  const samples = values.samples === undefined ? undefined : Number(values.samples);
  const { against } = values;
  show(
    await run({ against, samples, rounds: Number(values.rounds), seconds: Number(values.seconds) }, name),
    values.json,
  );
  return 0;
}

/** This checkout, and the commit beside it where one is named. */
async function compare({ against }: Settings, measure: (targets: readonly Target[]) => Promise<Row[]>): Promise<Row[]> {
  const targets: Target[] = [{ name: "colibri", folder: HERE }];
  if (against === undefined) return measure(targets);
  const other = await checkoutRef(against);
  try {
    return await measure([...targets, { name: `colibri@${against}`, folder: other.folder }]);
  } finally {
    await other.close();
  }
}

function show(rows: readonly Row[], json: boolean): void {
  if (json) return console.log(JSON.stringify({ machine: machine(), rows }, null, 2));
  console.log(machine());
  printTable(rows);
}

// So that what a bench started is stopped.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
process.exitCode = await main();
