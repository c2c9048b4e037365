import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { type PlanCopy, type PlanTopic, planCopy } from "#contract/plan/plan.ts";
import { parseJson } from "#contract/shape.ts";

const WRITE_EVERY_MS = 200;
/** After a write that failed: a disk is not full for a moment. */
const WRITE_AGAIN_MS = 5_000;
/** Entries turned into text at once: the event loop of a gateway must not stand still for a large copy. */
const SLICE = 250;

export interface CopyState {
  readonly store: string;
  readonly number: number;
  readonly entries: readonly (readonly [string, unknown])[];
}

/**
 * The copy of a topic's plans on disk.
 *
 * Owns: `<folder>/<topic>.json` and the file written aside before it takes that name. Does not own: the plans.
 * Invariants: 1. the file is whole at any moment; 2. one write at a time, at most every WRITE_EVERY_MS unless somebody waits for
 * it; 3. what was changed before `written` or `close` was called is on disk after it, or the log says that it is not; 4. what
 * could not be written is tried again.
 */
export class PlanCopyFile {
  readonly path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #topic: PlanTopic;
  readonly #state: () => CopyState;
  #dirty = false;
  #isFailing = false;
  #isClosed = false;
  #timer: Timer | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** `state` gives what to write; its entries may not be changed in place afterwards. */
  constructor(deps: { clock: Clock; log: Log }, options: { folder: string; topic: PlanTopic }, state: () => CopyState) {
    this.path = join(options.folder, `${options.topic}.json`);
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#topic = options.topic;
    this.#state = state;
  }

  /** Undefined when there is none that can be used; why is logged. */
  async read(): Promise<PlanCopy | undefined> {
    let text: string;
    try {
      text = await readFile(this.path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#unusable(error);
      return undefined;
    }
    try {
      const copy = parseJson(planCopy, text, this.path);
      if (copy.topic === this.#topic) return copy;
      this.#unusable(new Error(`it holds ${copy.topic}`));
    } catch (error) {
      this.#unusable(error);
    }
    return undefined;
  }

  changed(): void {
    this.#dirty = true;
    this.#schedule();
  }

  /**
   * Writes at once what was changed so far. Whoever asks while a write is under way shares the one after it. Resolves also when
   * it could not be written.
   */
  written(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#flush());
    return this.#writing;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    await this.written();
  }

  #schedule(): void {
    if (this.#isClosed) return;
    this.#timer ??= this.#clock.after(this.#isFailing ? WRITE_AGAIN_MS : WRITE_EVERY_MS, () => {
      void this.written().then(() => {
        this.#timer = undefined;
        if (this.#dirty) this.#schedule();
      });
    });
  }

  async #flush(): Promise<void> {
    if (!this.#dirty) return;
    this.#dirty = false;
    try {
      await this.#write(this.#state());
    } catch (error) {
      this.#dirty = true;
      if (!this.#isFailing)
        this.#log.error("plans could not be written to disk: started anew, it would begin with older ones", {
          path: this.path,
          error,
        });
      this.#isFailing = true;
      return;
    }
    if (this.#isFailing) this.#log.info("plans are written to disk again", { path: this.path });
    this.#isFailing = false;
  }

  async #write({ store, number, entries }: CopyState): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const aside = `${this.path}.new`;
    // Environments may hold what users would not show around.
    const file = await open(aside, "w", 0o600);
    try {
      const head = { version: 1, topic: this.#topic, store, number };
      await file.appendFile(`${JSON.stringify(head).slice(0, -1)},"entries":{`);
      for (let start = 0; start < entries.length; start += SLICE) {
        const lines = entries
          .slice(start, start + SLICE)
          .map(([key, plan]) => `\n${JSON.stringify(key)}:${JSON.stringify(plan)}`);
        await file.appendFile(`${start === 0 ? "" : ","}${lines.join(",")}`);
      }
      await file.appendFile("\n}}\n");
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, this.path);
  }

  #unusable(error: unknown): void {
    this.#log.warn("the copy of the plans on disk can't be used: waiting for control", { path: this.path, error });
  }
}
