import type { Clock } from "#base/clock.ts";
import type { Sandbox, SandboxDriver, SandboxSpec } from "#ports/sandbox/index.ts";

/** After a start, so that the next one does not take its processor away. */
const LATER_MS = 200;

export interface SparesDriver extends SandboxDriver {
  /** Ends the spares that are not wanted any more. */
  trim(): void;
}

/**
 * Keeps one sandbox of each runtime and size that is wanted started and waiting, so that a save waits for the loading of code alone.
 *
 * Owns: the spares. Invariants: 1. a sandbox that was given away is nobody's spare; 2. after `trim` every spare is wanted, also those
 * that were being started. Closing leaves them, as it leaves all sandboxes, to whoever ends the spawner.
 */
export function withSpares(
  driver: SandboxDriver,
  deps: { readonly clock: Clock; readonly isWanted: (spec: SandboxSpec) => boolean },
): SparesDriver {
  const spares = new Map<string, { readonly spec: SandboxSpec; readonly sandbox: Sandbox }>();
  let made = 0;
  let closed = false;

  function keep(spec: SandboxSpec): void {
    const key = keyOf(spec);
    if (closed || spares.has(key) || !deps.isWanted(spec)) return;
    const id = `spare-${++made}`;
    driver.start({ ...spec, id }).then(
      (sandbox) => {
        if (spares.has(key) || !deps.isWanted(spec)) return end(sandbox);
        spares.set(key, { spec, sandbox });
        void sandbox.gone.then(() => {
          if (spares.get(key)?.sandbox === sandbox) spares.delete(key);
        });
      },
      // The next start will tell why it can't be.
      () => {},
    );
  }

  return {
    ...driver,
    async start(spec) {
      if (!deps.isWanted(spec)) return driver.start(spec);
      const key = keyOf(spec);
      const spare = spares.get(key)?.sandbox;
      spares.delete(key);
      deps.clock.after(LATER_MS, () => keep(spec));
      return spare ?? driver.start(spec);
    },
    trim() {
      for (const [key, { spec, sandbox }] of [...spares]) {
        if (deps.isWanted(spec)) continue;
        spares.delete(key);
        end(sandbox);
      }
    },
    close() {
      closed = true;
      return driver.close();
    },
  };
}

function end(sandbox: Sandbox): void {
  // Where the spawner is gone, so is the sandbox.
  sandbox.kill("stopped").catch(() => {});
}

function keyOf({ runtime, memoryMiB }: SandboxSpec): string {
  return `${memoryMiB} ${JSON.stringify(runtime)}`;
}
