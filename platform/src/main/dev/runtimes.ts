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
  /** Whether guests of this launch must not live at the same time. */
  isExclusive(launch: RuntimeLaunch): boolean;
}

/** The runtimes of this machine, and beside them those that one function has for itself. */
export function createDevRuntimes(found: Runtimes): DevRuntimes {
  const own = new Map<string, RuntimeLaunch>();
  const exclusive = new Set<RuntimeLaunch>();
  const ordinals = new Map<string, number>();

  function ordinal(fn: string): number {
    if (!ordinals.has(fn)) ordinals.set(fn, ordinals.size + 1);
    return ordinals.get(fn)!;
  }

  return {
    get: (name) => own.get(name) ?? found.get(name),
    list: () => found.list(),
    isExclusive: (launch) => exclusive.has(launch),
    name(family, fn, change) {
      const base = found.list().find(({ name }) => name === family);
      if (base === undefined || Object.keys(change).length === 0) return family;
      const name = `${family}#${ordinal(fn)}`;
      const before = own.get(name);
      const launch = changed(base, change);
      // The same object for the same launch: what is exclusive is told by it.
      if (before !== undefined && JSON.stringify(before) === JSON.stringify(launch)) return name;
      if (before !== undefined) exclusive.delete(before);
      own.set(name, launch);
      if (change.exclusive) exclusive.add(launch);
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
 * Ends the guest before a port is wanted by the next one. What it still runs is lost: whoever debugs has saved and wants the new
 * code.
 */
export function oneAtATime(driver: SandboxDriver, runtimes: Pick<DevRuntimes, "isExclusive">): SandboxDriver {
  const last = new Map<string, Promise<Sandbox | undefined>>();

  async function startAfter(previous: Promise<Sandbox | undefined>, start: () => Promise<Sandbox>): Promise<Sandbox> {
    const sandbox = await previous;
    await sandbox?.kill("stopped");
    await sandbox?.gone;
    return start();
  }

  return {
    ...driver,
    start(spec) {
      if (!runtimes.isExclusive(spec.runtime)) return driver.start(spec);
      const key = JSON.stringify(spec.runtime);
      const started = startAfter(last.get(key) ?? Promise.resolve(undefined), () => driver.start(spec));
      last.set(
        key,
        started.catch(() => undefined),
      );
      return started;
    },
  };
}
