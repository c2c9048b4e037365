import type { Clock } from "#base/clock.ts";
import type { Link, LinkHandlers } from "#base/link/link.ts";
import { MessageLink, type Served } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import { type AgentEvents, agentEvents, agentRequests, type SandboxView } from "#contract/agent/link.ts";
import { PlatformError } from "#contract/errors.ts";
import type { AnswerOf, RequestOf } from "#contract/link/message.ts";
import type { OwnerRequest } from "#domain/sandbox/admit.ts";

/** What owners ask for, with who asks. */
export interface OwnerCalls {
  hello(owner: string, epoch: number): AnswerOf<typeof agentRequests, "hello">;
  /** After the answer to HELLO was decided: what it is told unasked. */
  said(owner: string): void;
  heartbeat(owner: string, epoch: number): void;
  acquire(owner: string, asked: Asked): Promise<AnswerOf<typeof agentRequests, "acquire">>;
  request(owner: string, epoch: number, sandbox: string, asked: OwnerRequest): Promise<void>;
  list(): readonly SandboxView[];
}

export type Asked = RequestOf<typeof agentRequests, "acquire">;

type OwnerLink = MessageLink<Record<never, never>, Record<never, never>, typeof agentRequests, typeof agentEvents>;

interface Owner {
  /** The highest seen. */
  epoch: number;
  link: OwnerLink | undefined;
}

/**
 * The links of the owners.
 *
 * Owns: who is connected, and the highest epoch of each owner. Does not own: grants. Invariants: 1. an owner is told things on
 * the link of its last hello only; 2. a request of an older epoch than the highest seen of that owner is refused, on every link.
 */
export class Owners {
  readonly #deps: { clock: Clock; log: Log };
  readonly #calls: OwnerCalls;
  readonly #owners = new Map<string, Owner>();
  readonly #links = new Set<OwnerLink>();

  constructor(deps: { clock: Clock; log: Log }, calls: OwnerCalls) {
    this.#deps = deps;
    this.#calls = calls;
  }

  accept(raw: Link): LinkHandlers {
    const session: { owner: string | undefined } = { owner: undefined };
    const sides = { asks: {}, hears: {}, serves: agentRequests, emits: agentEvents };
    const link: OwnerLink = new MessageLink({ clock: this.#deps.clock }, sides, {
      serve: this.#serve(session, () => link),
      hear: {},
      closed: () => this.#closed(session, link),
    });
    this.#links.add(link);
    return link.attach(raw).handlers;
  }

  close(): void {
    for (const link of this.#links) link.close();
  }

  /** A grant of an earlier agent names an epoch that must stay fenced. */
  saw(name: string, epoch: number): void {
    const owner = this.#owners.get(name) ?? { epoch, link: undefined };
    owner.epoch = Math.max(owner.epoch, epoch);
    this.#owners.set(name, owner);
  }

  readonly tell = <K extends keyof AgentEvents>(owner: string, name: K, event: AgentEvents[K]): void => {
    this.#owners.get(owner)?.link?.emit(name, event);
  };

  tellAll<K extends keyof AgentEvents>(name: K, event: AgentEvents[K]): void {
    for (const { link } of this.#owners.values()) link?.emit(name, event);
  }

  #serve(session: { owner: string | undefined }, link: () => OwnerLink): Served<typeof agentRequests> {
    const calls = this.#calls;
    const check = (epoch: number) => this.#check(session.owner, epoch);
    return {
      hello: ({ owner, epoch }) => this.#hello(session, link(), owner, epoch),
      acquire: (asked) => this.#acquire(check(asked.epoch), asked, link()),
      load: ({ epoch, sandbox, revision }) =>
        done(calls.request(check(epoch), epoch, sandbox, { kind: "load", revision })),
      freeze: ({ epoch, sandbox }) => done(calls.request(check(epoch), epoch, sandbox, { kind: "freeze" })),
      thaw: ({ epoch, sandbox }) => done(calls.request(check(epoch), epoch, sandbox, { kind: "thaw" })),
      drain: ({ epoch, sandbox, graceMs }) =>
        done(calls.request(check(epoch), epoch, sandbox, { kind: "drain", graceMs })),
      release: ({ epoch, sandbox, cause, reason }) => {
        const owner = check(epoch);
        this.#deps.log.info("released by its owner", { sandbox, owner, cause, reason });
        return done(calls.request(owner, epoch, sandbox, { kind: "release", cause }));
      },
      list: ({ epoch }) => {
        check(epoch);
        return { sandboxes: calls.list() };
      },
      heartbeat: ({ epoch }) => {
        calls.heartbeat(check(epoch), epoch);
        return {};
      },
    };
  }

  async #acquire(owner: string, asked: Asked, link: OwnerLink) {
    const { epoch } = asked;
    const acquired = await this.#calls.acquire(owner, asked);
    // An owner that has said hello anew meanwhile never hears of it, and would hold it for ever.
    if (!this.#links.has(link))
      await this.#calls.request(owner, epoch, acquired.sandbox, { kind: "release", cause: "stopped" });
    return acquired;
  }

  #hello(session: { owner: string | undefined }, link: OwnerLink, name: string, epoch: number) {
    if (session.owner !== undefined && session.owner !== name)
      throw new PlatformError("conflict", `this link is ${session.owner}'s, not ${name}'s`);
    this.#fence(name, epoch);
    this.saw(name, epoch);
    const owner = this.#owners.get(name)!;
    const before = owner.link;
    session.owner = name;
    owner.link = link;
    if (before !== link) before?.close();
    const answer = this.#calls.hello(name, epoch);
    this.#calls.said(name);
    return answer;
  }

  /** The owner that speaks. @throws PlatformError before hello, and when the epoch is fenced. */
  #check(owner: string | undefined, epoch: number): string {
    if (owner === undefined) throw new PlatformError("request-invalid", "hello comes first on every link");
    this.#fence(owner, epoch);
    return owner;
  }

  #fence(name: string, epoch: number): void {
    const highest = this.#owners.get(name)?.epoch ?? 0;
    if (epoch < highest)
      throw new PlatformError("conflict", `epoch ${epoch} of ${name} is fenced: epoch ${highest} has been seen`);
  }

  #closed(session: { owner: string | undefined }, link: OwnerLink): void {
    this.#links.delete(link);
    const owner = session.owner === undefined ? undefined : this.#owners.get(session.owner);
    if (owner?.link === link) owner.link = undefined;
  }
}

async function done(work: Promise<void>): Promise<Record<never, never>> {
  await work;
  return {};
}
