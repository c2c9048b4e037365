/**
 * Sees to it that the table is there: `nft flush ruleset`, which restarting the host's own firewall means, takes every table.
 *
 * Owns: the handle of the table that we wrote. Does not own: what belongs into the table, nor when it is written.
 *
 * 1. The kernel is asked by a message of its own, every WATCH_MS: that costs some 25 µs.
 * 2. The table comes back as a whole, in one transaction, and between two writes of ours: a write that failed for want of the
 *    table is then done again.
 * 3. Meanwhile the policies in the namespaces (plumbing.ts) keep sandboxes from the host and from private ranges.
 */
import { type Clock, sleep, type Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { run } from "./commands.ts";
import type { Netfilter } from "./netfilter.ts";

export interface GuardDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly netfilter: Netfilter;
}

export interface GuardOptions {
  readonly nft: string;
  /** Family and name. */
  readonly table: string;
  /** All that belongs into the table now, as input of nft. */
  readonly script: () => string;
}

const WATCH_MS = 50;
const RETRY_MS = 1_000;

export class TableGuard {
  readonly #deps: GuardDeps;
  readonly #options: GuardOptions;
  #handle: bigint | undefined;
  #timer: Timer | undefined;
  #watching = false;

  constructor(deps: GuardDeps, options: GuardOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Of the table that has just been written. @param mend has `restore` called between two writes. */
  watch(mend: () => Promise<boolean>): void {
    this.#handle = this.#found();
    this.#watching = true;
    this.#next(WATCH_MS, mend);
  }

  stop(): void {
    this.#watching = false;
    if (this.#timer !== undefined) this.#deps.clock.cancel(this.#timer);
  }

  /** Puts the table back. False when it is there. Not to be called while something else writes. */
  async restore(): Promise<boolean> {
    const { clock, log } = this.#deps;
    if (!this.#watching || this.#isThere()) return false;
    const start = clock.monotonic();
    // What was written before shall be known to those who asked for it: the script tells what they know.
    await sleep(clock, 0);
    const { nft, table, script } = this.#options;
    // There may be one of that name, out of a saved rule set, with what belonged into it then.
    await run(nft, ["-f", "-"], `add table ${table}\ndelete table ${table}\n${script()}`);
    this.#handle = this.#found();
    const tookMs = Math.round(clock.monotonic() - start);
    log.warn("somebody removed the packet filter's table of sandboxes, such as by `nft flush ruleset`: it is back", {
      table,
      tookMs,
    });
    return true;
  }

  #next(delayMs: number, mend: () => Promise<boolean>): void {
    this.#timer = this.#deps.clock.after(delayMs, () => void this.#look(mend));
  }

  async #look(mend: () => Promise<boolean>): Promise<void> {
    let delayMs = WATCH_MS;
    try {
      if (!this.#isThere()) await mend();
    } catch (error) {
      this.#deps.log.error("the packet filter's table of sandboxes is gone, and can't be put back", { error });
      delayMs = RETRY_MS;
    }
    if (this.#watching) this.#next(delayMs, mend);
  }

  #isThere(): boolean {
    return this.#handle !== undefined && this.#found() === this.#handle;
  }

  #found(): bigint | undefined {
    return this.#deps.netfilter.tableHandle(this.#options.table);
  }
}
