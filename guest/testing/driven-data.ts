import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import type { Link } from "#base/link/link.ts";
import { createSystemRandom } from "#base/random.ts";
import {
  type DataWelcome,
  dataWelcome,
  GUEST_FRAMES,
  type GuestInvoke,
  guestMisrouted,
  type MisroutedReason,
} from "#contract/guest/link.ts";
import type { Frame } from "#contract/link/frame.ts";
import { parseJson } from "#contract/shape.ts";
import { REVISION } from "./driven-control.ts";
import { DrivenInvocation, type Outcome } from "./driven-invocation.ts";
import { within } from "./limit.ts";

const ids = createIds(createSystemClock(), createSystemRandom());

export interface InvokeOptions extends Partial<GuestInvoke> {
  readonly body?: string | Uint8Array;
  /** The body goes on: use `write` and `finish` of the invocation. */
  readonly open?: boolean;
  /** False: no credit is given for the answer's body until `credit` is called. */
  readonly credit?: boolean;
  /** Takes the answer's body piece by piece instead of its being collected. */
  readonly sink?: (chunk: Buffer) => void;
}

/** A gateway's end of a data stream. */
export class DrivenData {
  readonly closed: Promise<Error | undefined>;
  readonly greeted: Promise<DataWelcome>;
  welcome: DataWelcome | undefined;
  /** Set when the guest refuses the whole stream. */
  refused: MisroutedReason | undefined;
  link!: Link;
  #stream = 0;
  readonly #running = new Map<number, DrivenInvocation>();
  #greeted: (welcome: DataWelcome) => void = () => {};
  #refused: (error: Error) => void = () => {};
  #ended: (error: Error | undefined) => void = () => {};

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#ended = resolve;
    });
    this.greeted = new Promise((resolve, reject) => {
      this.#greeted = resolve;
      this.#refused = reject;
    });
    this.greeted.catch(() => {});
  }

  attach(link: Link, hello: { owner: string; epoch: number }): void {
    this.link = link;
    link.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify(hello), null);
  }

  /** Sends INVOKE and, as the window allows, the body. */
  start(options: InvokeOptions = {}): DrivenInvocation {
    const { body, open, credit, sink, ...given } = options;
    const head: GuestInvoke = { id: ids.next(), ...REVISION, budgetMs: 10_000, ...given };
    const invocation = new DrivenInvocation(this.link, ++this.#stream, head, { credit: credit ?? true, sink });
    this.#running.set(invocation.stream, invocation);
    invocation.open(typeof body === "string" ? Buffer.from(body) : (body ?? null), open ?? false);
    return invocation;
  }

  /** A whole invocation. */
  invoke(options: InvokeOptions = {}): Promise<Outcome> {
    const invocation = this.start(options);
    return within(invocation.outcome, `end of invocation ${invocation.id}`);
  }

  /** An invocation with a JSON body and no request. */
  json(input: unknown, options: InvokeOptions = {}): Promise<Outcome> {
    return this.invoke({ contentType: "application/json", body: JSON.stringify(input), ...options });
  }

  close(): void {
    this.link.close();
  }

  receive(frame: Frame): void {
    if (frame.stream === 0) {
      this.#receiveOwn(frame);
      return;
    }
    if (frame.type === GUEST_FRAMES.ACCEPTED) {
      for (const [stream, invocation] of this.#running) if (stream <= frame.stream) invocation.accept();
      if (frame.stream > this.#stream) throw new Error(`ACCEPTED for stream ${frame.stream}, which was not invoked`);
      return;
    }
    const invocation = this.#running.get(frame.stream);
    if (invocation === undefined)
      throw new Error(`frame ${frame.type} for stream ${frame.stream}, which is over or unknown`);
    if (invocation.receive(frame)) this.#running.delete(frame.stream);
  }

  ended(error: Error | undefined): void {
    this.#refused(error ?? new Error("the data stream was closed"));
    for (const invocation of this.#running.values()) invocation.lose(error);
    this.#running.clear();
    this.#ended(error);
  }

  #receiveOwn(frame: Frame): void {
    if (frame.type === GUEST_FRAMES.HELLO && this.welcome === undefined) {
      this.welcome = parseJson(dataWelcome, frame.head, "HELLO");
      this.#greeted(this.welcome);
      return;
    }
    if (frame.type !== GUEST_FRAMES.MISROUTED) throw new Error(`a frame of type ${frame.type} on stream 0`);
    this.refused = parseJson(guestMisrouted, frame.head, "MISROUTED").reason;
    this.#refused(new Error(`the data stream was refused: ${this.refused}`));
  }
}
