import { createHash, type Hash } from "node:crypto";
import type { Clock } from "#base/clock.ts";
import type { Link, LinkHandlers, Listener, Network } from "#base/link/link.ts";
import type { Random } from "#base/random.ts";
import {
  GUEST_FRAMES,
  type GuestFailed,
  type GuestHello,
  type GuestLoad,
  type GuestLog,
  type GuestState,
  guestDrain,
  guestInit,
  guestLoad,
  guestPing,
} from "#contract/guest/link.ts";
import type { Frame, LinkKind } from "#contract/link/frame.ts";
import type { RevisionRef } from "#contract/names.ts";
import { parseJson } from "#contract/shape.ts";
import type { SandboxExit } from "#ports/sandbox/index.ts";
import { type Behaviour, draw } from "./behaviour.ts";
import { SimulatedDataStream } from "./data-stream.ts";

export interface SimulatedGuestDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
}

export interface SimulatedGuestOptions {
  readonly address: string;
  readonly runtime: string;
  readonly pid: number;
  /** Asked at LOAD. */
  readonly behaviourOf: (load: GuestLoad) => Behaviour;
  readonly observer?: GuestObserver;
}

/** Sees what really ran, so that a simulation can check what dispatch believes. */
export interface GuestObserver {
  started?(invocation: string, active: number, slots: number): void;
  ended?(invocation: string): void;
}

/**
 * A guest without a process: speaks the guest link at frame level, over whatever network, as its behaviour says.
 *
 * Owns: its listener, streams, state and running invocations. Does not own: what `gone` means to its sandbox.
 * Invariants: 1. never more than `slots` invocations at once; 2. while it does not run (frozen, hung) it neither reads nor
 * writes, and nothing is lost: a frozen one goes on where it was.
 */
export class SimulatedGuest {
  readonly options: SimulatedGuestOptions;
  readonly gone: Promise<SandboxExit>;
  readonly deps: SimulatedGuestDeps;
  readonly #settle: (exit: SandboxExit) => void;
  readonly #streams = new Set<SimulatedDataStream>();
  #listener: Listener | undefined;
  #control: Link | undefined;
  #state: GuestState = "pending";
  #load: GuestLoad | undefined;
  #behaviour: Behaviour | undefined;
  #code: { hash: Hash; bytes: number } | undefined;
  #running: "yes" | "frozen" | "hung" | "no" = "yes";
  #backlog: (() => void)[] = [];
  #epoch = 0;
  active = 0;

  constructor(deps: SimulatedGuestDeps, options: SimulatedGuestOptions) {
    this.deps = deps;
    this.options = options;
    const gone = Promise.withResolvers<SandboxExit>();
    this.gone = gone.promise;
    this.#settle = gone.resolve;
  }

  async open(): Promise<void> {
    this.#listener = await this.deps.network.listen(this.options.address, ["control", "data"], (link, kind) =>
      this.#accept(link, kind),
    );
  }

  get state(): GuestState {
    return this.#state;
  }
  get slots(): number {
    return this.#load?.concurrency ?? 0;
  }
  get bound(): RevisionRef | undefined {
    if (this.#load === undefined) return undefined;
    const { tenant, app, function: name, revision } = this.#load;
    return { tenant, app, function: name, revision };
  }
  get behaviour(): Behaviour | undefined {
    return this.#behaviour;
  }

  /** Stops for good without dying: a spinning event loop. */
  hang(): void {
    if (this.#running !== "no") this.#running = "hung";
  }

  freeze(): void {
    if (this.#running === "yes") this.#running = "frozen";
  }

  thaw(): void {
    if (this.#running !== "frozen") return;
    this.#running = "yes";
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const action of backlog) this.run(action);
  }

  /** Dies. Its address and links are gone when the promise resolves; `gone` settles then. */
  async die(exit: SandboxExit): Promise<void> {
    if (this.#running === "no") return;
    this.#running = "no";
    this.#backlog = [];
    this.#control?.close();
    for (const stream of this.#streams) stream.link.close();
    await this.#listener?.close();
    this.#settle(exit);
  }

  /** Something that no guest may send. */
  sendGarbage(): void {
    this.#control?.send(GUEST_FRAMES.READY, 0, 0, "{not json", null);
  }

  log(entries: GuestLog["entries"]): void {
    if (entries.length > 0) this.#send(GUEST_FRAMES.LOG, { entries });
  }

  /** Everything a guest does goes through here, so that it does nothing while it does not run. */
  run(action: () => void): void {
    if (this.#running === "yes") action();
    else if (this.#running !== "no") this.#backlog.push(action);
  }

  after(delayMs: number, action: () => void): void {
    this.deps.clock.after(delayMs, () => this.run(action));
  }

  /** Whether a data stream of this epoch is served; older ones are closed. */
  admitEpoch(epoch: number): boolean {
    if (epoch < this.#epoch) return false;
    this.#epoch = epoch;
    for (const stream of this.#streams) if (stream.epoch !== undefined && stream.epoch < epoch) stream.link.close();
    return true;
  }

  /** An invocation has begun or ended. */
  count(change: 1 | -1, invocation: string): void {
    this.active += change;
    if (change === 1) this.options.observer?.started?.(invocation, this.active, this.slots);
    else this.options.observer?.ended?.(invocation);
    this.#leaveIfDrained();
  }

  #accept(link: Link, kind: LinkKind): LinkHandlers {
    if (kind === "data") {
      const stream = new SimulatedDataStream(this, link);
      this.#streams.add(stream);
      return {
        frame: (frame) => this.run(() => stream.frame(frame)),
        close: () => {
          this.#streams.delete(stream);
          stream.closed();
        },
      };
    }
    this.#control?.close();
    this.#control = link;
    this.run(() => this.#hello());
    return { frame: (frame) => this.run(() => this.#frame(frame)), close: () => {} };
  }

  #hello(): void {
    const { runtime, pid } = this.options;
    const state = this.#state;
    const hello: GuestHello = { runtime, runtimeVersion: "0", pid, state, delivers: ["mount", "bytes"] };
    this.#send(GUEST_FRAMES.HELLO, this.bound === undefined ? hello : { ...hello, bound: this.bound });
  }

  #frame(frame: Frame): void {
    switch (frame.type) {
      case GUEST_FRAMES.LOAD:
        return this.#beginLoad(parseJson(guestLoad, frame.head, "LOAD"));
      case GUEST_FRAMES.CODE:
        return this.#receiveCode(frame);
      case GUEST_FRAMES.INIT:
        parseJson(guestInit, frame.head, "INIT");
        return this.#init();
      case GUEST_FRAMES.PING:
        return this.#send(GUEST_FRAMES.PONG, {
          sequence: parseJson(guestPing, frame.head, "PING").sequence,
          active: this.active,
        });
      case GUEST_FRAMES.DRAIN:
        parseJson(guestDrain, frame.head, "DRAIN");
        this.#state = "draining";
        return this.#leaveIfDrained();
      default:
        throw new Error(`a guest is not sent frames of type ${frame.type} on its control stream`);
    }
  }

  #beginLoad(load: GuestLoad): void {
    if (this.#state !== "pending") throw new Error(`LOAD for a guest that is ${this.#state}`);
    this.#state = "loading";
    this.#load = load;
    this.#behaviour = this.options.behaviourOf(load);
    if (load.code.kind === "mount") return this.#finishLoad();
    this.#code = { hash: createHash("sha256"), bytes: 0 };
    if (load.code.bytes === 0) this.#finishLoad();
  }

  #receiveCode(frame: Frame): void {
    if (this.#code === undefined) throw new Error("CODE without a LOAD that announces it");
    this.#code.hash.update(frame.body);
    this.#code.bytes += frame.bodyBytes;
    if (frame.fin) this.#finishLoad();
  }

  #finishLoad(): void {
    const behaviour = this.#behaviour!;
    const { code } = this.#load!;
    const received = this.#code === undefined ? undefined : `sha256:${this.#code.hash.digest("hex")}`;
    const durationMs = draw(this.deps.random, behaviour.loadMs);
    this.#code = undefined;
    const damaged = code.kind === "bytes" && received !== code.digest;
    this.after(durationMs, () => {
      const fails = damaged || this.deps.random.next() < behaviour.loadFails;
      if (fails) {
        this.#state = "failed";
        return this.#fail("load", damaged ? `the bundle arrived as ${received}` : "simulated syntax error");
      }
      this.#state = "loaded";
      this.#send(GUEST_FRAMES.LOADED, { durationMs });
      if (this.#load?.init !== undefined) this.#init();
    });
  }

  #init(): void {
    if (this.#state !== "loaded") throw new Error(`INIT for a guest that is ${this.#state}`);
    this.#state = "initialising";
    const durationMs = draw(this.deps.random, this.#behaviour!.initMs);
    this.after(durationMs, () => {
      if (this.#state !== "initialising") return;
      if (this.deps.random.next() < this.#behaviour!.initFails) {
        this.#state = "loaded";
        return this.#fail("init", "simulated failure of init");
      }
      this.#state = "ready";
      this.#send(GUEST_FRAMES.READY, { durationMs });
    });
  }

  #fail(phase: GuestFailed["phase"], message: string): void {
    const failed: GuestFailed = { phase, code: `${phase}-failed`, error: { name: "Error", message } };
    this.#send(GUEST_FRAMES.FAILED, failed);
  }

  #leaveIfDrained(): void {
    if (this.#state === "draining" && this.active === 0)
      void this.die({ cause: "exited", detail: "exited with code 0" });
  }

  #send(type: number, head: object): void {
    this.run(() => this.#control?.send(type, 0, 0, JSON.stringify(head), null));
  }
}
