import type { Clock } from "#base/clock.ts";
import type { NewEvent, Store } from "#ports/store/index.ts";
import { type Notices, noticeKey } from "../notices.ts";

/** Output that waits to be written; a tool that prints faster than the store writes loses the rest. */
const WAITING_EVENTS = 1_000;
const TEXT_CHARACTERS = 8 * 1_024;

export interface EventWriterDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly notices: Notices;
}

/** Takes a deployment's events without making anybody wait, writes them in order, several at a time, and tells who watches. */
export class EventWriter {
  readonly #deps: EventWriterDeps;
  readonly #tenant: string;
  readonly #id: string;
  #waiting: NewEvent[] = [];
  #writing: Promise<void> | undefined;

  constructor(deps: EventWriterDeps, tenant: string, id: string) {
    this.#deps = deps;
    this.#tenant = tenant;
    this.#id = id;
  }

  add(kind: NewEvent["kind"], text: string, name?: string): void {
    if (kind === "output" && this.#waiting.length >= WAITING_EVENTS) return;
    const of = name === undefined ? {} : { function: name };
    this.#waiting.push({ atMs: this.#deps.clock.now(), kind, ...of, text: text.slice(0, TEXT_CHARACTERS) });
    this.#writing ??= this.#write();
    // Whoever needs to know awaits `written`.
    this.#writing.catch(() => {});
  }

  /** Resolves when all is written that was added before. Rejects as the store does. */
  async written(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { store, clock, notices } = this.#deps;
    while (this.#waiting.length > 0) {
      const events = this.#waiting;
      this.#waiting = [];
      await store.progress(this.#tenant, this.#id, { atMs: clock.now(), events });
      notices.tell(noticeKey(this.#tenant, this.#id));
    }
    this.#writing = undefined;
  }
}
