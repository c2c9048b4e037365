import type { Clock, Timer } from "#base/clock.ts";
import type { AgentEvents } from "#contract/agent/link.ts";
import type { Bundles } from "./bundles.ts";

/** An event must fit a frame: of more, those used last. */
const TOLD = 10_000;
/** A host that fetches many bundles tells of them together. */
const TOGETHER_MS = 1_000;

export interface BundleNews {
  /** What owners are told. */
  held(): AgentEvents["bundles"];
  close(): void;
}

/** Calls `tell` with what the host holds, a little after that has changed: once for all changes in between. */
export function createBundleNews(
  { clock, bundles }: { readonly clock: Clock; readonly bundles: Bundles },
  tell: (held: AgentEvents["bundles"]) => void,
): BundleNews {
  let timer: Timer | undefined;
  const held = () => ({ digests: bundles.digests().slice(-TOLD) });
  bundles.onChange(() => {
    timer ??= clock.after(TOGETHER_MS, () => {
      timer = undefined;
      tell(held());
    });
  });
  return {
    held,
    close() {
      bundles.onChange(() => {});
      if (timer !== undefined) clock.cancel(timer);
    },
  };
}
