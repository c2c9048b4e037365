/** `npm run bench -- warm|start|freeze|bundles|reload|hops|ports|templates [name] [--json] [--against <ref>] [--rounds N] [--seconds N] [--samples N]` */
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { benchBundles } from "./bundles.ts";
import { benchFreeze } from "./freeze.ts";
import { benchHops } from "./hops.ts";
import { checkoutRef, HERE } from "./lib/checkout.ts";
import { machine, printTable, type Row, type Target } from "./lib/report.ts";
import { benchPorts, PORTS } from "./ports.ts";
import { benchReload } from "./reload.ts";
import { benchStart } from "./start.ts";
import { benchTemplates } from "./templates.ts";
import { benchWarm } from "./warm.ts";

const BENCHES = ["warm", "start", "freeze", "bundles", "reload", "hops", "ports", "templates"] as const;

const USAGE = `usage: npm run bench -- <warm|start|freeze|bundles|reload|hops|ports|templates> [options]

  warm    throughput and latency at 1, 32 and 128 connections, beside nginx and the handler called directly
  start   cold starts with an empty pool, beside a bare Node server
  freeze  the first answer of an idle sandbox, one that was frozen beside one that was not
  bundles hits and misses of the bundle cache, and loading with and without compiled code
  reload  from a save to the first new answer of \`colibri dev\`, beside node --watch, nodemon and wrangler dev
  hops    what our own code costs in each hop of the hot path, beside its budget
  ports   each driver by the bench of its port: all, or the one named (${PORTS.join(", ")})
  templates   each template from nothing to its first answer: init, deploy, call

  --json            rows as JSON
  --against <ref>   measure that commit too, in alternation
  --rounds <n>      warm: rounds, medians are shown (5)
  --seconds <n>     warm: length of one measurement (4)
  --samples <n>     start: cold starts of each runtime; freeze: answers of each kind; bundles: loads; reload: saves (50)`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      against: { type: "string" },
      rounds: { type: "string", default: "5" },
      seconds: { type: "string", default: "4" },
      samples: { type: "string", default: "50" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [bench = "", port] = positionals;
  if (values.help || !isBench(bench)) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  if (bench === "ports" && port !== undefined && !PORTS.includes(port)) {
    console.error(`bench: no port "${port}" has a bench; there is ${PORTS.join(", ")}`);
    return 2;
  }
  if (bench === "templates") {
    show(await benchTemplates(), values.json);
    return 0;
  }
  if (bench === "bundles") {
    show(await benchBundles({ samples: Number(values.samples) }), values.json);
    return 0;
  }
  if (bench === "hops" || bench === "ports") {
    show(bench === "hops" ? await benchHops() : await benchPorts(port, tmpdir()), values.json);
    return 0;
  }
  const other = values.against === undefined ? undefined : await checkoutRef(values.against);
  try {
    const targets: Target[] = [{ name: "colibri", folder: HERE }];
    if (other !== undefined) targets.push({ name: `colibri@${values.against}`, folder: other.folder });
    const rows: Row[] =
      bench === "warm"
        ? await benchWarm(targets, { rounds: Number(values.rounds), seconds: Number(values.seconds) })
        : bench === "start"
          ? await benchStart(targets, { samples: Number(values.samples) })
          : bench === "freeze"
            ? await benchFreeze(targets, { samples: Number(values.samples) })
            : await benchReload(targets, { samples: Number(values.samples) });
    show(rows, values.json);
    return 0;
  } finally {
    await other?.close();
  }
}

function isBench(name: string): name is (typeof BENCHES)[number] {
  return (BENCHES as readonly string[]).includes(name);
}

function show(rows: readonly Row[], json: boolean): void {
  if (json) return console.log(JSON.stringify({ machine: machine(), rows }, null, 2));
  console.log(machine());
  printTable(rows);
}

process.exitCode = await main();
