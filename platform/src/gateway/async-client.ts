import type { Clock } from "#base/clock.ts";
import { createDialer, type Dialer } from "#base/link/dialer.ts";
import type { Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { PlatformError } from "#contract/errors.ts";
import type { FunctionRef } from "#contract/names.ts";
import { peerEvents, peerRequests } from "#contract/peer/link.ts";

const SUBMIT_MS = 5_000;
const sides = { asks: peerRequests, hears: peerEvents, serves: {}, emits: {} } as const;
type PeerLink = MessageLink<typeof peerRequests, typeof peerEvents, Record<never, never>, Record<never, never>>;

/** The gateway's end of the peer link to the async role. */
export class AsyncClient {
  readonly #clock: Clock;
  readonly #instance: string;
  readonly #dialer: Dialer;
  #link: PeerLink | undefined;

  constructor(
    deps: { network: Network; clock: Clock; random: Random; log: Log },
    options: { address: string; instance: string },
  ) {
    this.#clock = deps.clock;
    this.#instance = options.instance;
    this.#dialer = createDialer(deps, { address: options.address, kind: "peer" }, () => this.#dialed());
  }

  open(): void {
    this.#dialer.open();
  }

  close(): Promise<void> {
    return this.#dialer.close();
  }

  /** Resolves when the async role has committed it. @throws PlatformError `unavailable` while the role is away, or its refusal. */
  async submit(invocation: FunctionRef & { readonly id: string }): Promise<void> {
    if (this.#link === undefined)
      throw new PlatformError("unavailable", "the async role is away: try again in a moment");
    await this.#link.ask("submit", invocation, SUBMIT_MS);
  }

  #dialed() {
    const messages: PeerLink = new MessageLink({ clock: this.#clock }, sides, {
      serve: {},
      hear: { released: () => {} },
      closed: () => {
        if (this.#link === messages) this.#link = undefined;
      },
    });
    return {
      ...messages.handlers,
      opened: async (link: Parameters<PeerLink["attach"]>[0]) => {
        messages.attach(link);
        await messages.ask("hello", { role: "gateway", instance: this.#instance }, SUBMIT_MS);
        this.#link = messages;
      },
    };
  }
}
