/** The process of a spawner for dev: with the end of the channel to whoever started it, every guest ends. */
import { createSystemClock } from "#base/clock.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createLog, type LogLevel } from "#base/log.ts";
import { createSpawner } from "#platform/spawner/spawner.ts";

const [address = "", level = "error"] = process.argv.slice(2);
process.title = "colibri: spawner of dev";
// Ctrl-C goes to all of the terminal's programs: when this one ends, dev says.
for (const signal of ["SIGINT", "SIGHUP"] as const) process.on(signal, () => {});
// A terminal that has gone must not keep guests alive.
process.stderr.on("error", () => {});
const clock = createSystemClock();
const log = createLog({ clock, write: (line) => process.stderr.write(line) }, { level: level as LogLevel });
const spawner = createSpawner({ clock, log, network: createSocketNetwork() }, { address });
const stop = () => void spawner.close().finally(() => process.exit(0));
process.once("disconnect", stop);
process.once("SIGTERM", stop);
await spawner.open(new AbortController().signal);
process.send?.("ready");
