import { resolve } from "node:path";
import { functionPath } from "#contract/names.ts";
import { allowedHostsProblem } from "#platform/main/dev/option-checks.ts";
import type { Dev } from "#platform/main/dev.ts";
import { readAppFile } from "../deploy/app-file.ts";
import { fireTimer } from "../dev/fire.ts";
import { checkInspect, inspectOption, openDebuggerWarning } from "../dev/inspect-option.ts";
import { KEYS_LINE, listenForKeys } from "../dev/keys.ts";
import { choosePort } from "../dev/port.ts";
import { Screen } from "../dev/screen.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { openInBrowser } from "../open/browser.ts";
import type { Surroundings } from "../surroundings.ts";

export interface DevCommandOptions {
  readonly port?: string;
  readonly inspect?: string | true;
  readonly inspectBrk?: string | true;
  readonly allowHost?: readonly string[];
  readonly fire?: string;
  readonly timer?: string;
  readonly verbose?: boolean;
}

export async function dev(
  surroundings: Surroundings,
  given: string | undefined,
  options: DevCommandOptions,
): Promise<ExitCode> {
  if (options.fire !== undefined) return fireTimer(surroundings, options.fire, options.timer);
  if (options.timer !== undefined) throw usageError("--timer goes with --fire <app>/<function>.");
  const inspect = inspectOption(options.inspect, options.inspectBrk);
  checkAllowedHosts(options.allowHost ?? []);
  const file = readAppFile(surroundings.cwd, given ?? ".");
  const { port, note } = await choosePort(options.port, surroundings.env.COLIBRI_PORT);
  if (inspect !== undefined) await checkInspect(inspect);
  const { createDev } = await import("#platform/main/dev.ts");
  const screen = new Screen(surroundings, Object.keys(file.config.functions));
  const started = createDev(
    {
      ...{ folder: resolve(surroundings.cwd, given ?? "."), config: file.config, port, inspect, watch: true },
      allowedHosts: options.allowHost ?? [],
      ...{ environment: surroundings.env, logLevel: options.verbose ? "debug" : "error" },
      writeLog: (line) => void surroundings.stderr.write(line),
    },
    (event) => screen.show(event),
  );
  const open = inspect && openDebuggerWarning(inspect);
  if (open !== undefined) screen.line(screen.style("yellow", open));
  if (note !== undefined) screen.line(screen.style("yellow", note));
  return run(surroundings, screen, started, inspect?.brk === true);
}

function checkAllowedHosts(given: readonly string[]): void {
  const problem = allowedHostsProblem(given);
  if (problem !== undefined) throw usageError(`--allow-host ${problem}.`);
}

async function run(surroundings: Surroundings, screen: Screen, dev: Dev, waits: boolean): Promise<ExitCode> {
  const quit = Promise.withResolvers<ExitCode>();
  const signal = surroundings.interruption();
  // However it is told to stop, stopping is what it was asked for.
  signal.addEventListener("abort", () => quit.resolve(EXIT.ok));
  // The launcher was killed, which nobody does to have its functions go on.
  process.once("disconnect", () => quit.resolve(EXIT.ok));
  let unlisten: (() => void) | undefined;
  try {
    const opened = dev.open(signal);
    opened.catch(() => {});
    const first = await Promise.race([opened, quit.promise]);
    if (typeof first === "number") return first;
    const { url } = first;
    const banner = () => screen.banner(dev, url, { keys: unlisten && KEYS_LINE, waits });
    unlisten = listenForKeys(surroundings, screen, {
      restart: () => dev.restart(),
      timers: () => dev.timers,
      fire: (timer) => dev.fire(timer),
      open: () => void openFirst(surroundings, screen, url, dev),
      banner,
      quit: () => quit.resolve(EXIT.ok),
    });
    banner();
    return await quit.promise;
  } finally {
    unlisten?.();
    await dev.close();
  }
}

async function openFirst(surroundings: Surroundings, screen: Screen, url: string, { config }: Dev): Promise<void> {
  const name = Object.keys(config.functions)[0] ?? "";
  const address = url + functionPath({ tenant: "default", app: config.app, function: name });
  if (!(await openInBrowser(surroundings.env, address))) screen.line(`There is no browser to open it in: ${address}`);
}
