import { assert } from "#base/assert.ts";
import type { Clock, Timer } from "#base/clock.ts";
import type { MainThread } from "#base/process-group.ts";

export interface WatchdogDeps {
  readonly clock: Clock;
  /** Undefined when it can't be told: then silence alone decides. */
  readonly look: (pid: number) => MainThread | undefined;
}

export interface WatchdogOptions {
  readonly everyMs: number;
  /** Of silence, after which a process counts as hung. */
  readonly hungMs: number;
}

export interface Watched {
  readonly pid: number;
  ask(): void;
  /** Once; from then on it is not watched any more. */
  hung(): void;
}

/** In place of a process that has died there is another `Watch`. */
export interface Watch {
  answered(): void;
  end(): void;
}

interface Silence {
  /** Of its own ticks since the last answer, those that came in time. */
  ticks: number;
  asked: boolean;
  cpuMs: number;
}

/** A tick that comes so many intervals after the one before is late: the watchdog itself did not run. */
const LATE = 2;
/** Of the allowed silence, the processor time that nobody needs for an answer: who had less may only be starved. */
const STARVED_SHARE = 0.1;

/**
 * Tells which processes hang: alive, and without an answer.
 *
 * Owns: when each is asked and how long it has been silent. Does not own: processes, what is done to those that hang.
 * Invariants: 1. time counts only while the watchdog itself runs: a tick that is late (the machine was suspended, the supervisor
 * stopped or starved) forgives everybody; 2. whoever wants to run and was not let, or waits for a disk, is slow and not hung.
 */
export class Watchdog {
  readonly #deps: WatchdogDeps;
  readonly #options: WatchdogOptions;
  readonly #silences = new Map<Watched, Silence>();
  #timer: Timer | undefined;
  #tickedAt = 0;

  constructor(deps: WatchdogDeps, options: WatchdogOptions) {
    assert(options.hungMs >= LATE * options.everyMs, "a hang is longer than the time between two questions");
    this.#deps = deps;
    this.#options = options;
  }

  watch(watched: Watched): Watch {
    this.#silences.set(watched, { ticks: 0, asked: false, cpuMs: this.#deps.look(watched.pid)?.cpuMs ?? 0 });
    if (this.#timer === undefined) this.#tickLater();
    return {
      answered: () => this.#answered(watched),
      end: () => void this.#silences.delete(watched),
    };
  }

  #tickLater(): void {
    const { clock } = this.#deps;
    this.#tickedAt = clock.monotonic();
    this.#timer = clock.after(this.#options.everyMs, () => this.#tick());
  }

  #tick(): void {
    this.#timer = undefined;
    const late = this.#deps.clock.monotonic() - this.#tickedAt > LATE * this.#options.everyMs;
    for (const [watched, silence] of [...this.#silences]) {
      if (late) this.#forgive(watched, silence);
      else if (silence.asked) silence.ticks++;
      if (this.#isHung(watched, silence)) {
        this.#silences.delete(watched);
        watched.hung();
      } else if (!silence.asked) {
        // One question at a time: who does not read must not be written to without end.
        silence.asked = true;
        watched.ask();
      }
    }
    if (this.#silences.size > 0) this.#tickLater();
  }

  #isHung(watched: Watched, { ticks, cpuMs }: Silence): boolean {
    const { everyMs, hungMs } = this.#options;
    if (ticks * everyMs < hungMs) return false;
    const seen = this.#deps.look(watched.pid);
    const hindered = seen?.state === "R" || seen?.state === "D";
    return !hindered || seen.cpuMs - cpuMs >= hungMs * STARVED_SHARE;
  }

  #answered(watched: Watched): void {
    const silence = this.#silences.get(watched);
    if (silence === undefined) return;
    silence.asked = false;
    this.#forgive(watched, silence);
  }

  #forgive(watched: Watched, silence: Silence): void {
    silence.ticks = 0;
    silence.cpuMs = this.#deps.look(watched.pid)?.cpuMs ?? 0;
  }
}
