import { FrameReader, type LinkKind } from "#contract/link/frame.ts";
import { FrameWriter } from "#contract/link/frame-writer.ts";
import type { Clock } from "../clock.ts";
import type { Random } from "../random.ts";
import type { Link, LinkHandlers, Listener, Network } from "./link.ts";

export interface SimulatedNetworkOptions {
  /** One-way delay of what leaves in one turn: from, up to, in milliseconds. */
  readonly delayMs: readonly [number, number];
}

/** A network within one process, under a simulated clock. Delays, cuts and refusals are the test's to order. */
export interface SimulatedNetwork extends Network {
  /** Cuts every link to and from the address, as when a process dies. What was under way is lost. */
  cut(address: string): void;
  /** Cuts one randomly chosen link; false when there is none. */
  cutOne(): boolean;
  /** While an address is refused, dialing it fails. */
  refuse(address: string, refused: boolean): void;
  readonly links: number;
}

interface Wire {
  readonly address: string;
  readonly ends: readonly [SimulatedLink, SimulatedLink];
}

type Accept = (link: Link, kind: LinkKind) => LinkHandlers;

export function createSimulatedNetwork(
  clock: Clock,
  random: Random,
  options: SimulatedNetworkOptions,
): SimulatedNetwork {
  const listeners = new Map<string, { kinds: readonly LinkKind[]; accept: Accept }>();
  const refused = new Set<string>();
  const wires = new Set<Wire>();
  const delay = () => options.delayMs[0] + random.next() * (options.delayMs[1] - options.delayMs[0]);
  const pause = () => new Promise<void>((resolve) => clock.after(delay(), resolve));

  async function dial(address: string, kind: LinkKind, handlers: LinkHandlers): Promise<Link> {
    await pause();
    const listener = listeners.get(address);
    if (listener === undefined || refused.has(address) || !listener.kinds.includes(kind))
      throw new Error(`no link to ${address}: refused`);
    const near = new SimulatedLink(clock, delay);
    const far = new SimulatedLink(clock, delay);
    const wire: Wire = { address, ends: [near, far] };
    wires.add(wire);
    const forget = () => wires.delete(wire);
    near.join(far, handlers, forget);
    far.join(near, listener.accept(far, kind), forget);
    return near;
  }

  async function listen(address: string, kinds: readonly LinkKind[], accept: Accept): Promise<Listener> {
    if (listeners.has(address)) throw new Error(`${address} is taken`);
    listeners.set(address, { kinds, accept });
    return {
      async close() {
        listeners.delete(address);
        cut(address);
      },
    };
  }

  function cut(address: string): void {
    for (const wire of [...wires]) if (wire.address === address) sever(wire);
  }

  function cutOne(): boolean {
    const all = [...wires];
    const chosen = all[random.below(all.length)];
    if (chosen !== undefined) sever(chosen);
    return chosen !== undefined;
  }

  function sever(wire: Wire): void {
    wires.delete(wire);
    for (const end of wire.ends) end.sever();
  }

  return {
    dial,
    listen,
    cut,
    cutOne,
    refuse: (address, isRefused) => void (isRefused ? refused.add(address) : refused.delete(address)),
    get links() {
      return wires.size;
    },
  };
}

/** One end. Real bytes travel, so that the simulation exercises the framing too. */
class SimulatedLink implements Link {
  readonly #clock: Clock;
  readonly #delay: () => number;
  readonly #writer = new FrameWriter();
  #reader: FrameReader | undefined;
  #handlers: LinkHandlers | undefined;
  #peer: SimulatedLink | undefined;
  #forget: () => void = () => {};
  #scheduled = false;
  #closed = false;
  /** When the last bytes on the way arrive: later ones must not overtake them. */
  #arrives = 0;

  constructor(clock: Clock, delay: () => number) {
    this.#clock = clock;
    this.#delay = delay;
  }

  join(peer: SimulatedLink, handlers: LinkHandlers, forget: () => void): void {
    this.#peer = peer;
    this.#handlers = handlers;
    this.#forget = forget;
    this.#reader = new FrameReader((frame) => handlers.frame(frame));
  }

  send(type: number, flags: number, stream: number, head: string, body: Uint8Array | null): void {
    if (this.#closed) return;
    this.#writer.append(type, flags, stream, head, body);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#closed || this.#writer.bytes === 0) return;
    const bytes = Buffer.concat(this.#writer.take());
    this.#later(() => this.#peer?.receive(bytes));
  }

  get buffered(): number {
    return this.#writer.bytes;
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(reason?: Error): void {
    if (this.#closed) return;
    this.#flush();
    this.#later(() => this.#peer?.end(undefined));
    this.end(reason);
  }

  sever(): void {
    this.#clock.after(0, () => this.end(new Error("cut")));
  }

  receive(bytes: Buffer): void {
    if (this.#closed) return;
    try {
      this.#reader?.push(bytes);
    } catch (error) {
      this.close(error instanceof Error ? error : new Error(String(error)));
    }
  }

  end(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    this.#handlers?.close(error);
  }

  #later(action: () => void): void {
    this.#arrives = Math.max(this.#arrives, this.#clock.monotonic() + this.#delay());
    this.#clock.after(this.#arrives - this.#clock.monotonic(), action);
  }
}
