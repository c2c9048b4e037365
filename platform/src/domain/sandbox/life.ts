import type { AgentEvents, GoneCause, SandboxState } from "#contract/agent/link.ts";
import type { Failure } from "#contract/errors.ts";
import type { GuestState } from "#contract/guest/link.ts";
import type { RevisionRef } from "#contract/names.ts";

/** What an agent gives an owner: the sandbox until a time, under an epoch. */
export interface Grant {
  readonly owner: string;
  readonly epoch: number;
  readonly untilMs: number;
}

/** How long each step took, once it is over. */
interface Started {
  readonly startMs: number;
}
interface Loaded extends Started {
  readonly revision: RevisionRef;
  readonly loadMs: number;
  readonly initBudgetMs: number;
}
interface Initialised extends Loaded {
  readonly initMs: number;
}

/** Each phase owns what belongs to it: `untilMs` is the deadline of that phase alone. */
export type Phase =
  | { readonly name: "starting"; readonly sinceMs: number; readonly untilMs: number }
  | ({ readonly name: "pending" } & Started)
  | ({
      readonly name: "loading";
      readonly revision: RevisionRef;
      readonly sinceMs: number;
      readonly untilMs: number;
      readonly initBudgetMs: number;
      /** LOAD is on its way to the guest; before, the code is on its way to this host. */
      readonly sent: boolean;
    } & Started)
  | ({ readonly name: "loaded" } & Loaded)
  | ({ readonly name: "initialising"; readonly sinceMs: number; readonly untilMs: number } & Loaded)
  | ({ readonly name: "ready" } & Initialised)
  | ({ readonly name: "frozen" } & Initialised)
  | { readonly name: "draining"; readonly revision: RevisionRef; readonly graceMs: number; readonly untilMs: number }
  | {
      readonly name: "ending";
      readonly cause: GoneCause;
      readonly failure: Failure | undefined;
      readonly untilMs: number;
    }
  | { readonly name: "gone"; readonly cause: GoneCause; readonly failure: Failure | undefined };
export type PhaseName = Phase["name"];
export type PhaseOf<N extends PhaseName> = Extract<Phase, { readonly name: N }>;

export interface SandboxLife {
  readonly phase: Phase;
  readonly grant: Grant | undefined;
}

export type LifeEvent =
  /** The guest said HELLO: for the first time, or after its control stream was dialed again. */
  | { readonly kind: "hello"; readonly state: GuestState; readonly bound: RevisionRef | undefined }
  /** LOAD has been sent. The budget is the time the guest was given for it. */
  | { readonly kind: "sent"; readonly loadBudgetMs: number }
  | { readonly kind: "loaded"; readonly durationMs: number }
  | { readonly kind: "initialised"; readonly durationMs: number }
  | { readonly kind: "load-failed"; readonly failure: Failure }
  | { readonly kind: "init-failed"; readonly failure: Failure }
  | { readonly kind: "violation"; readonly message: string }
  /** From the owner, admitted by `admit`. The budget is the time that the guest is given to initialise. */
  | { readonly kind: "load"; readonly revision: RevisionRef; readonly initBudgetMs: number }
  | { readonly kind: "freeze" }
  | { readonly kind: "thaw" }
  | { readonly kind: "drain"; readonly graceMs: number }
  | { readonly kind: "remove"; readonly cause: GoneCause; readonly failure: Failure | undefined }
  /** A grant is given, renewed, or taken over under a newer epoch. */
  | { readonly kind: "grant"; readonly grant: Grant }
  /** Nothing of it is left. */
  | { readonly kind: "exited"; readonly cause: GoneCause; readonly failure: Failure | undefined }
  /** Time has passed; needed at `deadline(life)`, harmless at any moment. */
  | { readonly kind: "tick" };

export type LifeEffect =
  /** Write down what must survive the agent. Comes before the effects it covers. */
  | { readonly kind: "persist" }
  /** Write it down when there is time: the next agent would hear of it from the guest. */
  | { readonly kind: "persist-later" }
  /** It has started: whoever asked for it can have it. */
  | { readonly kind: "started" }
  /** Fetch the code, deliver it and send LOAD; then report `sent`. */
  | { readonly kind: "load"; readonly revision: RevisionRef }
  | { readonly kind: "init"; readonly budgetMs: number }
  | { readonly kind: "freeze" }
  | { readonly kind: "thaw" }
  | { readonly kind: "drain"; readonly graceMs: number }
  | { readonly kind: "kill"; readonly cause: GoneCause }
  | { readonly kind: "tell-ready"; readonly steps: Omit<AgentEvents["ready"], "sandbox"> }
  | { readonly kind: "tell-failed"; readonly failure: Failure }
  | { readonly kind: "tell-gone"; readonly cause: GoneCause; readonly failure: Failure | undefined };

export interface Stepped {
  readonly state: SandboxLife;
  readonly effects: readonly LifeEffect[];
}

/** Times that are the same for every sandbox. */
export const LIFE_LIMITS = Object.freeze({
  /** From the order to start until the guest's HELLO. */
  startMs: 30_000,
  /** For the guest of an earlier agent that waited in a pool to say HELLO to this one. */
  greetMs: 5_000,
  /** For the plan and the bundle to be on this host. */
  fetchMs: 120_000,
  /** What a guest is given beyond its own timeout to report it, before it is taken for stuck. */
  graceMs: 1_000,
  /** After this a kill is ordered again. */
  killMs: 5_000,
});

/** The word the agent link has for a phase. What is ending takes nothing any more, which is all an owner must know. */
export function stateOf(phase: Phase): SandboxState {
  return phase.name === "ending" ? "draining" : phase.name;
}

/** What it is bound to, for ever, once it was told to load. */
export function boundOf(phase: Phase): RevisionRef | undefined {
  return "revision" in phase ? phase.revision : undefined;
}

/** Generic, and nobody's: what a pool may hold. What was granted once is never so again. */
export function isPooled({ phase, grant }: SandboxLife): boolean {
  return grant === undefined && (phase.name === "starting" || phase.name === "pending");
}

/** When `tick` is due, or undefined when nothing is waited for. */
export function deadline(life: SandboxLife): number | undefined {
  const phaseMs = "untilMs" in life.phase ? life.phase.untilMs : Number.POSITIVE_INFINITY;
  const grantMs = obeysGrant(life.phase) ? (life.grant?.untilMs ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
  const untilMs = Math.min(phaseMs, grantMs);
  return Number.isFinite(untilMs) ? untilMs : undefined;
}

/** What drains or ends has an end of its own. */
export function obeysGrant(phase: Phase): boolean {
  return phase.name !== "draining" && phase.name !== "ending" && phase.name !== "gone";
}
