import type { FoundRuntime, Runtimes } from "#platform/agent/index.ts";
import type { RuntimeLaunch, Sandbox, SandboxDriver } from "#ports/sandbox/index.ts";

/** How one function's guests are started, where that differs from all others'. */
export interface LaunchChange {
  /** Instead of the runtime's own program, as a virtual environment has one. */
  readonly program?: string;
  /** In front of the guest's file. */
  readonly flags?: readonly string[];
  /** Run instead of the guest's file, with that as its argument. */
  readonly wrapper?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Options of the runtime that are left out. */
  readonly without?: readonly string[];
  /** One sandbox at a time: it listens on a port of its own. */
  readonly exclusive?: boolean;
}

export interface DevRuntimes extends Runtimes {
  /** The name to launch under: the family's own if nothing is changed. */
  name(family: string, fn: string, change: LaunchChange): string;
  /** The function of which no two guests may live at the same time, however else they are launched; undefined for others. */
  exclusiveOf(launch: RuntimeLaunch): string | undefined;
}

/** The runtimes of this machine, and beside them those that one function has for itself. */
export function createDevRuntimes(found: Runtimes): DevRuntimes {
  const own = new Map<string, RuntimeLaunch>();
  /** Also of launches that have been replaced: a start of one may still be under way. */
  const exclusive = new WeakMap<RuntimeLaunch, string>();
  const ordinals = new Map<string, number>();

  function ordinal(fn: string): number {
    if (!ordinals.has(fn)) ordinals.set(fn, ordinals.size + 1);
    return ordinals.get(fn)!;
  }

  return {
    get: (name) => own.get(name) ?? found.get(name),
    list: () => found.list(),
    exclusiveOf: (launch) => exclusive.get(launch),
    name(family, fn, change) {
      const base = found.list().find(({ name }) => name === family);
      if (base === undefined || Object.keys(change).length === 0) return family;
      const name = `${family}#${ordinal(fn)}`;
      const before = own.get(name);
      const launch = changed(base, change);
      // The same object for the same launch: what is exclusive is told by it.
      if (before !== undefined && JSON.stringify(before) === JSON.stringify(launch)) return name;
      own.set(name, launch);
      if (change.exclusive) exclusive.set(launch, fn);
      return name;
    },
  };
}

function changed(base: FoundRuntime, change: LaunchChange): RuntimeLaunch {
  const { program, flags = [], wrapper, environment = {}, without = [] } = change;
  const [first = "", ...rest] = base.command.filter((part) => !without.includes(part));
  const guest = rest.pop() ?? "";
  const command = [program ?? first, ...rest, ...flags, ...(wrapper === undefined ? [] : [wrapper]), guest];
  return { name: base.name, command, environment: { ...base.environment, ...environment } };
}

/**
 * Ends a function's guest before its port is wanted by the next one. What it still runs is lost: whoever debugs has saved and wants
 * the new code.
 *
 * Owns: by function, the last sandbox until it is gone.
 */
export function oneAtATime(driver: SandboxDriver, runtimes: Pick<DevRuntimes, "exclusiveOf">): SandboxDriver {
  const last = new Map<string, Promise<Sandbox | undefined>>();

  async function startAfter(
    previous: Promise<Sandbox | undefined> | undefined,
    start: () => Promise<Sandbox>,
  ): Promise<Sandbox> {
    const sandbox = await previous;
    await sandbox?.kill("stopped");
    await sandbox?.gone;
    return start();
  }

  return {
    ...driver,
    start(spec) {
      const fn = runtimes.exclusiveOf(spec.runtime);
      if (fn === undefined) return driver.start(spec);
      const started = startAfter(last.get(fn), () => driver.start(spec));
      const living = started.catch(() => undefined);
      last.set(fn, living);
      void living
        .then((sandbox) => sandbox?.gone)
        .then(() => {
          if (last.get(fn) === living) last.delete(fn);
        });
      return started;
    },
  };
}
