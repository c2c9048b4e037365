import type { Clock, Timer } from "#base/clock.ts";
import { createDialer, type Dialed, type Dialer } from "#base/link/dialer.ts";
import type { Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import {
  type AgentEvents,
  agentEvents,
  agentRequests,
  type GoneCause,
  type SandboxView,
} from "#contract/agent/link.ts";
import { PlatformError } from "#contract/errors.ts";
import type { RevisionRef } from "#contract/names.ts";

/** A start includes booting a runtime on a busy machine. */
const ACQUIRE_MS = 30_000;
const REQUEST_MS = 5_000;
/** Callers wait for it. An agent so busy that it takes longer would start nothing sooner. */
const THAW_MS = 1_000;

const sides = { asks: agentRequests, hears: agentEvents, serves: {}, emits: {} } as const;
type AgentLink = MessageLink<typeof agentRequests, typeof agentEvents, Record<never, never>, Record<never, never>>;

export interface AgentClientOptions {
  readonly address: string;
  readonly owner: string;
  /** Of this run of the owner: higher than those of all runs before. */
  readonly epoch: number;
}

export interface AgentClientEvents {
  /** The link is up (again): this is what the agent has. */
  listed(sandboxes: readonly SandboxView[]): void;
  away(): void;
  ready(event: AgentEvents["ready"]): void;
  failed(event: AgentEvents["failed"]): void;
  gone(event: AgentEvents["gone"]): void;
  health(event: AgentEvents["health"]): void;
  capacity(event: AgentEvents["capacity"]): void;
}

/** The owner's end of the agent link: keeps it up, says hello, renews the grants. */
export class AgentClient {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #options: AgentClientOptions;
  readonly #events: AgentClientEvents;
  readonly #dialer: Dialer;
  #link: AgentLink | undefined;
  #heartbeat: Timer | undefined;

  constructor(
    deps: { network: Network; clock: Clock; random: Random; log: Log },
    options: AgentClientOptions,
    events: AgentClientEvents,
  ) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#options = options;
    this.#events = events;
    this.#dialer = createDialer(deps, { address: options.address, kind: "agent" }, () => this.#dialed());
  }

  open(): void {
    this.#dialer.open();
  }

  close(): Promise<void> {
    return this.#dialer.close();
  }

  get up(): boolean {
    return this.#link !== undefined;
  }

  /** One that is loading the revision, or will. */
  acquire(revision: RevisionRef): Promise<{ sandbox: string; address: string }> {
    return this.#require().ask("acquire", { epoch: this.#options.epoch, revision, load: true }, ACQUIRE_MS);
  }

  async load(sandbox: string, revision: RevisionRef): Promise<void> {
    await this.#require().ask("load", { epoch: this.#options.epoch, sandbox, revision }, REQUEST_MS);
  }

  /** Answered before it is done; what is asked next of the same sandbox comes after it. @throws PlatformError */
  async freeze(sandbox: string): Promise<void> {
    await this.#require().ask("freeze", { epoch: this.#options.epoch, sandbox }, REQUEST_MS);
  }

  /** From the answer on invocations may be sent: the kernel keeps them for the moment that it takes. @throws PlatformError */
  async thaw(sandbox: string): Promise<void> {
    await this.#require().ask("thaw", { epoch: this.#options.epoch, sandbox }, THAW_MS);
  }

  /** Best effort: where the link is down, the grant's end removes the sandbox. */
  release(sandbox: string, cause: GoneCause, reason: string): void {
    const request = { epoch: this.#options.epoch, sandbox, cause, reason: reason.slice(0, 1_000) };
    this.#link
      ?.ask("release", request, REQUEST_MS)
      .catch((error) => this.#log.debug("release not confirmed", { sandbox, error }));
  }

  /** Best effort, as `release`. */
  drain(sandbox: string, graceMs: number, reason: string): void {
    this.#log.info("sandbox is drained", { sandbox, reason });
    this.#link
      ?.ask("drain", { epoch: this.#options.epoch, sandbox, graceMs }, REQUEST_MS)
      .catch((error) => this.#log.debug("drain not confirmed", { sandbox, error }));
  }

  #require(): AgentLink {
    if (this.#link === undefined) throw new PlatformError("unavailable", "the agent is away");
    return this.#link;
  }

  #dialed(): Dialed {
    const messages: AgentLink = new MessageLink({ clock: this.#clock }, sides, {
      serve: {},
      hear: {
        ready: (event) => this.#events.ready(event),
        failed: (event) => this.#events.failed(event),
        gone: (event) => this.#events.gone(event),
        health: (event) => this.#events.health(event),
        capacity: (event) => this.#events.capacity(event),
        bundles: () => {},
      },
      closed: () => this.#ended(messages),
    });
    return {
      ...messages.handlers,
      opened: async (link) => {
        messages.attach(link);
        const hello = await messages.ask(
          "hello",
          { owner: this.#options.owner, epoch: this.#options.epoch },
          REQUEST_MS,
        );
        this.#link = messages;
        this.#beat(messages, hello.grantMs / 3);
        this.#log.info("agent is up", { agent: hello.agent, sandboxes: hello.sandboxes.length });
        this.#events.listed(hello.sandboxes);
      },
    };
  }

  #beat(messages: AgentLink, everyMs: number): void {
    this.#heartbeat = this.#clock.after(everyMs, () => {
      if (this.#link !== messages) return;
      messages.ask("heartbeat", { epoch: this.#options.epoch }, REQUEST_MS).catch((error) => messages.close(error));
      this.#beat(messages, everyMs);
    });
  }

  #ended(messages: AgentLink): void {
    if (this.#link !== messages) return;
    this.#link = undefined;
    if (this.#heartbeat !== undefined) this.#clock.cancel(this.#heartbeat);
    this.#log.warn("agent is away");
    this.#events.away();
  }
}
