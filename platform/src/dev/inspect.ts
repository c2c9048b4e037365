import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { firstPort } from "#base/port.ts";
import { splitHandler } from "#contract/config/handler.ts";
import { PlatformError } from "#contract/errors.ts";
import type { LaunchChange } from "./runtimes.ts";

export interface InspectOptions {
  readonly host: string;
  readonly port: number;
  /** Whether code waits for a debugger before its first line. */
  readonly brk: boolean;
}

/** Whoever is stopped at a breakpoint is not late: longer than anybody debugs, short enough for a timer. */
export const UNHURRIED_MS = 2_000_000_000;

const PORTS_TRIED = 1_000;

/**
 * Loaded by Node before the guest. The first file of the function waits for a debugger and stops at its first line, whatever it is.
 * Only then does it listen: a debugger that attaches earlier would say too early that it is there, and the code wait for ever.
 * Code of the guest itself is not stopped in: nobody wants to step through it.
 */
const NODE_WAIT = `import { writeSync } from "node:fs";
import { open } from "node:inspector";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
const root = process.env.COLIBRI_DEV_SOURCE;
const [, host, port] = /^\\[?(.*?)\\]?:(\\d+)$/.exec(process.env.COLIBRI_DEV_INSPECT);
const says = process.env.COLIBRI_DEV_WAITS + "\\n";
const inside = pathToFileURL(root + "/").href;
let waited = false;
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (waited || !url.startsWith(inside) || url.includes("/node_modules/")) return loaded;
    waited = true;
    writeSync(2, says);
    open(Number(port), host, true);
    if (loaded.source === null || loaded.source === undefined || loaded.format === "json") return loaded;
    return { ...loaded, source: "debugger;" + Buffer.from(loaded.source).toString("utf8") };
  },
});
`;

/** Run instead of the guest, which is its argument: listens for a debugger and then becomes the guest. */
const PYTHON_INSPECT = `import os, runpy, site, sys
sys.dont_write_bytecode = True
del sys.path[0]
own = list(sys.path)
if sys.flags.no_site:
    # The debugger may be a package of the machine's, which the function does not see.
    site.main()
import debugpy
host, port = os.environ["COLIBRI_DEV_INSPECT"].rsplit(":", 1)
wait = os.environ.get("COLIBRI_DEV_WAIT")
says = os.environ.get("COLIBRI_DEV_WAITS", "") + "\\n"
debugpy.listen((host, int(port)))
sys.path[:] = own
class Wait:
    """Before the function's own module is imported, by whatever way it is."""
    @staticmethod
    def find_spec(name, path=None, target=None):
        global wait
        if wait is not None and name == wait:
            wait = None
            os.write(2, says.encode())
            debugpy.wait_for_client()
        return None
if wait is not None:
    sys.meta_path.insert(0, Wait)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
`;

export interface InspectionPlaces {
  /** For what guests load first. */
  readonly folder: string;
  /** PATH. */
  readonly searchPath: string;
}

/** Gives each function a port, the same for as long as it is run, and the way to start its guests under a debugger. */
export function createInspection(options: InspectOptions, { folder, searchPath }: InspectionPlaces) {
  const ports = new Map<string, number>();
  const nodeWait = join(folder, "wait.mjs");
  const pythonInspect = join(folder, "colibri-debug.py");
  writeFileSync(nodeWait, NODE_WAIT);
  writeFileSync(pythonInspect, PYTHON_INSPECT);

  async function portOf(fn: string): Promise<number> {
    const known = ports.get(fn);
    if (known !== undefined) return known;
    const after = Math.max(options.port - 1, ...ports.values());
    const first = options.port === 0 ? 0 : after + 1;
    const port = await firstPort(options.host, first, PORTS_TRIED).catch((cause: NodeJS.ErrnoException) => {
      throw new PlatformError("unavailable", inspectProblem(options, cause), { cause });
    });
    if (port === undefined)
      throw new PlatformError(
        "unavailable",
        `no port for a debugger is free from ${after + 1} on: choose another with --inspect=<port>`,
      );
    ports.set(fn, port);
    return port;
  }

  return {
    waits: options.brk,
    ports: ports as ReadonlyMap<string, number>,
    async nodejs(fn: string, source: string): Promise<LaunchChange> {
      const address = `${bracketed(options.host)}:${await portOf(fn)}`;
      const quiet = "--inspect-publish-uid=http";
      if (!options.brk) return { flags: [`--inspect=${address}`, quiet], exclusive: true };
      return {
        flags: [quiet, `--import=${nodeWait}`],
        environment: {
          COLIBRI_DEV_INSPECT: address,
          COLIBRI_DEV_SOURCE: source,
          COLIBRI_DEV_WAITS: waitLine(address, NODE_WAYS),
        },
        exclusive: true,
      };
    },
    async python(fn: string, handler: string): Promise<LaunchChange> {
      const address = `${bracketed(options.host)}:${await portOf(fn)}`;
      const environment = {
        COLIBRI_DEV_INSPECT: `${options.host}:${await portOf(fn)}`,
        PYDEVD_DISABLE_FILE_VALIDATION: "1",
      };
      const module = splitHandler(handler).file.replace(/\.py$/, "").replaceAll("/", ".");
      return {
        wrapper: pythonInspect,
        environment: options.brk
          ? { ...environment, COLIBRI_DEV_WAIT: module, COLIBRI_DEV_WAITS: waitLine(address, PYTHON_WAYS) }
          : environment,
        // Frozen modules can't be stepped through, and the debugger says so at length.
        flags: ["-Xfrozen_modules=off"],
        exclusive: true,
      };
    },
    /** What is missing for Python to be debugged, in one line; undefined when nothing is. */
    async debugpyProblem(python: string, environment: Readonly<Record<string, string>>): Promise<string | undefined> {
      try {
        await promisify(execFile)(python, ["-c", "import debugpy"], { env: { PATH: searchPath, ...environment } });
        return undefined;
      } catch {
        return `${python} has no debugpy, so that breakpoints are not to be had: install it with "${python} -m pip install debugpy" (on Debian: apt-get install python3-debugpy)`;
      }
    },
  };
}
/** Why debuggers can't listen where they are told to. */
export function inspectProblem({ host, port }: InspectOptions, { code }: NodeJS.ErrnoException): string {
  return `the debugger can't listen on ${bracketed(host)}:${port} (${code}): choose another place with --inspect=<host:port>`;
}

export type Inspection = ReturnType<typeof createInspection>;

const NODE_WAYS = 'open chrome://inspect, or let your editor "attach" to this port';
const PYTHON_WAYS = 'let your editor "attach" to this port (Python: Remote Attach)';

function waitLine(address: string, ways: string): string {
  return `Waiting for a debugger on ${address}, as long as it takes: ${ways}. Requests wait too.`;
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
