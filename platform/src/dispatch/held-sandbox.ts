import type { Clock } from "#base/clock.ts";
import type { GoneCause } from "#contract/agent/link.ts";
import type { Failure } from "#contract/errors.ts";
import type { DataStream } from "./data-stream.ts";

/**
 *     starting ──▶ ready ──▶ draining ──▶ gone
 *      │    ▲        └─────────────────────▲
 *      ▼    │ init is tried again          │
 *     loaded ──────────────────────────────┘
 */
export type HeldState = "starting" | "loaded" | "ready" | "draining" | "gone";

/**
 *     no ──idle──▶ yes ──somebody waits──▶ thawing ──▶ no
 *                   ▲───── agent is away ────┘
 *
 * Of one that is ready: whether its processes run, as far as the agent was asked. `yes` from the order to freeze on.
 */
export type Frozen = "no" | "yes" | "thawing";

/**
 * A sandbox that this owner holds, with its slots.
 *
 * Invariants: 1. a slot number is either in `#free` or held by exactly one invocation; 2. slots are given only while ready and
 * neither frozen nor busy nor suspect; 3. `gone` is final; 4. no slot is used while it is frozen or thawing.
 */
export class HeldSandbox {
  readonly id: string;
  readonly address: string;
  state: HeldState = "starting";
  frozen: Frozen = "no";
  stream: DataStream | null = null;
  /** Why the agent was asked to remove it: asked again when the agent was away. */
  unwanted: { readonly cause: GoneCause; readonly reason: string } | undefined;
  /** The agent gets no PONG: it works, route nothing there. */
  busy = false;
  /** Invocations past their deadline that have not let go. */
  suspect = 0;
  /** Whether it stands in its revision's stack of sandboxes with free slots. */
  listed = false;
  idleSinceMs: number | undefined;
  /** On the eviction clock (domain/scaling/eviction.ts). */
  usedAt = 0;
  /** Milliseconds its start took, told in Server-Timing to those who waited for it. */
  coldMs = 0;
  readonly concurrency: number;
  readonly #free: number[] = [];
  #causeKnown = false;
  #cause: Failure | undefined;
  readonly #awaiting: (() => void)[] = [];

  constructor(id: string, address: string, concurrency: number) {
    this.id = id;
    this.address = address;
    this.concurrency = concurrency;
    for (let slot = concurrency - 1; slot >= 0; slot--) this.#free.push(slot);
  }

  get used(): number {
    return this.concurrency - this.#free.length;
  }

  get idleSlots(): number {
    return this.available ? this.#free.length : 0;
  }

  get available(): boolean {
    return this.state === "ready" && this.frozen === "no" && !this.busy && this.suspect === 0 && this.#free.length > 0;
  }

  /** It runs nothing, and nobody waits for it. */
  get idle(): boolean {
    return this.state === "ready" && this.frozen !== "thawing" && !this.busy && this.suspect === 0 && this.used === 0;
  }

  /** Call only while `available`. */
  take(): number {
    this.idleSinceMs = undefined;
    return this.#free.pop()!;
  }

  give(slot: number, now: number): void {
    this.#free.push(slot);
    if (this.#free.length === this.concurrency) this.idleSinceMs = now;
  }

  /** The agent said that it is gone, and why where it is somebody's fault. */
  setCause(cause: Failure | undefined): void {
    if (this.#causeKnown) return;
    this.#causeKnown = true;
    this.#cause = cause;
    for (const tell of this.#awaiting.splice(0)) tell();
  }

  /** Calls `tell` once, with the cause when the agent has said it, without after `withinMs`. */
  whenGone(clock: Clock, withinMs: number, tell: (cause: Failure | undefined) => void): void {
    if (this.#causeKnown) return tell(this.#cause);
    let told = false;
    const once = () => {
      if (told) return;
      told = true;
      clock.cancel(timer);
      tell(this.#cause);
    };
    const timer = clock.after(withinMs, once);
    this.#awaiting.push(once);
  }
}
