import type { Clock } from "#base/clock.ts";
import type { Sandbox, SandboxDriver, SandboxSpec } from "#ports/sandbox/index.ts";

/** After a start, so that the next one does not take its processor away. */
const LATER_MS = 200;

/**
 * Keeps one sandbox of each runtime and size started and waiting, so that a save waits for the loading of code alone.
 *
 * Owns: the spares. Invariant: a sandbox that was given away is nobody's spare. Closing leaves them, as it leaves all sandboxes, to
 * whoever ends the spawner.
 */
export function withSpares(
  driver: SandboxDriver,
  deps: { readonly clock: Clock; readonly isWanted: (spec: SandboxSpec) => boolean },
): SandboxDriver {
  const spares = new Map<string, Sandbox>();
  let made = 0;
  let closed = false;

  function keep(spec: SandboxSpec): void {
    const key = keyOf(spec);
    if (closed || spares.has(key)) return;
    const id = `spare-${++made}`;
    driver.start({ ...spec, id }).then(
      (sandbox) => {
        if (spares.has(key)) return void sandbox.kill("stopped");
        spares.set(key, sandbox);
        void sandbox.gone.then(() => {
          if (spares.get(key) === sandbox) spares.delete(key);
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
      const spare = spares.get(key);
      spares.delete(key);
      deps.clock.after(LATER_MS, () => keep(spec));
      return spare ?? driver.start(spec);
    },
    close() {
      closed = true;
      return driver.close();
    },
  };
}

function keyOf({ runtime, memoryMiB }: SandboxSpec): string {
  return `${memoryMiB} ${JSON.stringify(runtime)}`;
}
