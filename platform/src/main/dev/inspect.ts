import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { splitHandler } from "#contract/config/handler.ts";
import type { LaunchChange } from "./runtimes.ts";

export interface InspectOptions {
  readonly host: string;
  readonly port: number;
  /** Whether code waits for a debugger before its first line. */
  readonly brk: boolean;
}

export const INSPECT_DEFAULTS = Object.freeze({ host: "127.0.0.1", port: 9229 });
/** Whoever is stopped at a breakpoint is not late: longer than anybody debugs, short enough for a timer. */
export const UNHURRIED_MS = 2_000_000_000;

/**
 * Loaded by Node before the guest. The first file of the function waits for a debugger and stops at its first line, whatever it is.
 * Code of the guest itself is not stopped in: nobody wants to step through it.
 */
const NODE_WAIT = `import { waitForDebugger } from "node:inspector";
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
const root = process.env.COLIBRI_DEV_SOURCE;
const inside = pathToFileURL(root + "/").href;
let waited = false;
registerHooks({
  load(url, context, next) {
    const loaded = next(url, context);
    if (waited || !url.startsWith(inside) || url.includes("/node_modules/")) return loaded;
    waited = true;
    waitForDebugger();
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
debugpy.listen((host, int(port)))
sys.path[:] = own
class Wait:
    """Before the function's own module is imported, by whatever way it is."""
    @staticmethod
    def find_spec(name, path=None, target=None):
        global wait
        if wait is not None and name == wait:
            wait = None
            debugpy.wait_for_client()
        return None
if wait is not None:
    sys.meta_path.insert(0, Wait)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
`;

/** Gives each function a port, the same for as long as it is run, and the way to start its guests under a debugger. */
export function createInspection(options: InspectOptions, folder: string) {
  const ports = new Map<string, number>();
  const nodeWait = join(folder, "wait.mjs");
  const pythonInspect = join(folder, "colibri-debug.py");
  writeFileSync(nodeWait, NODE_WAIT);
  writeFileSync(pythonInspect, PYTHON_INSPECT);

  async function portOf(fn: string): Promise<number> {
    const known = ports.get(fn);
    if (known !== undefined) return known;
    const after = Math.max(options.port - 1, ...ports.values());
    const port = options.port === 0 ? await freePort(options.host, 0) : await freePort(options.host, after + 1);
    ports.set(fn, port);
    return port;
  }

  return {
    ports: ports as ReadonlyMap<string, number>,
    async nodejs(fn: string, source: string): Promise<LaunchChange> {
      const address = `${bracketed(options.host)}:${await portOf(fn)}`;
      const flags = [`--inspect=${address}`, "--inspect-publish-uid=http"];
      if (!options.brk) return { flags, exclusive: true };
      return {
        flags: [...flags, `--import=${nodeWait}`],
        environment: { COLIBRI_DEV_SOURCE: source },
        exclusive: true,
      };
    },
    async python(fn: string, handler: string): Promise<LaunchChange> {
      const environment = {
        COLIBRI_DEV_INSPECT: `${options.host}:${await portOf(fn)}`,
        PYDEVD_DISABLE_FILE_VALIDATION: "1",
      };
      const module = splitHandler(handler).file.replace(/\.py$/, "").replaceAll("/", ".");
      return {
        wrapper: pythonInspect,
        environment: options.brk ? { ...environment, COLIBRI_DEV_WAIT: module } : environment,
        // Frozen modules can't be stepped through, and the debugger says so at length.
        flags: ["-Xfrozen_modules=off"],
        exclusive: true,
      };
    },
  };
}
export type Inspection = ReturnType<typeof createInspection>;

/** What is missing for Python to be debugged, in one line; undefined when nothing is. */
export async function debugpyProblem(
  python: string,
  environment: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  try {
    await promisify(execFile)(python, ["-c", "import debugpy"], { env: { PATH: process.env.PATH, ...environment } });
    return undefined;
  } catch {
    return `${python} has no debugpy, so that breakpoints are not to be had: install it with "${python} -m pip install debugpy" (on Debian: apt-get install python3-debugpy)`;
  }
}

/** The first that can be had from `port` on; any for 0. */
async function freePort(host: string, port: number): Promise<number> {
  for (let tried = port; ; tried++) {
    const found = await tryPort(host, tried);
    if (found !== undefined) return found;
  }
}

/** Undefined where somebody has it. @throws what else keeps us from it. */
export function tryPort(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(undefined) : reject(error),
    );
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
