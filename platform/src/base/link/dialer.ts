import type { LinkKind } from "#contract/link/frame.ts";
import { createBackoff } from "../backoff.ts";
import { type Clock, sleep } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Random } from "../random.ts";
import type { Link, LinkHandlers, Network } from "./link.ts";

export interface DialerOptions {
  readonly address: string;
  readonly kind: LinkKind;
  readonly firstRetryMs?: number;
  readonly maximumRetryMs?: number;
}

/** One attempt's link and what follows from it. */
export interface Dialed extends LinkHandlers {
  /** The link is up. A rejection closes it, and it is dialed again. */
  opened(link: Link): Promise<void> | void;
}

/** Keeps one link to an address up for as long as it is open. */
export interface Dialer {
  /** Resolves at once; links come and go through `make`. */
  open(): void;
  close(): Promise<void>;
}

/** `make` is called for every attempt, so that each link has handlers and state of its own. */
export function createDialer(
  deps: { network: Network; clock: Clock; random: Random; log: Log },
  options: DialerOptions,
  make: () => Dialed,
): Dialer {
  const stopped = new AbortController();
  const backoff = createBackoff(deps.random, {
    firstMs: options.firstRetryMs ?? 20,
    maximumMs: options.maximumRetryMs ?? 1_000,
  });
  let running: Promise<void> | undefined;
  let current: Link | undefined;

  async function once(): Promise<void> {
    const dialed = make();
    const ended = Promise.withResolvers<void>();
    const close = (error: Error | undefined) => {
      dialed.close(error);
      ended.resolve();
    };
    const link = await deps.network.dial(options.address, options.kind, {
      frame: (frame) => dialed.frame(frame),
      close,
    });
    current = link;
    if (stopped.signal.aborted) link.close();
    try {
      await dialed.opened(link);
      backoff.reset();
    } catch (error) {
      link.close(error instanceof Error ? error : new Error(String(error)));
    }
    await ended.promise;
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await once();
      } catch (error) {
        deps.log.debug("link not up", { address: options.address, kind: options.kind, error });
      }
      await sleep(deps.clock, backoff.next(), stopped.signal);
    }
  }

  return {
    open() {
      running ??= run();
    },
    async close() {
      stopped.abort();
      current?.close();
      await running;
    },
  };
}
