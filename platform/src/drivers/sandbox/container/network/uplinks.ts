/**
 * Forwarding on the host, switched on where sandboxes need it and no further.
 *
 * The kernel forwards what comes in on an interface that forwards: our own, and, for the answers, those that lead out. Where
 * the whole host forwards already there is nothing to do. Where it does not, the interfaces that lead out are switched on, and
 * kept in the table's set `uplinks`: its rules keep the host from routing for its neighbours, and the next agent knows what to
 * switch off again.
 */
import { readdir } from "node:fs/promises";
import type { Log } from "#base/log.ts";
import { forwardsEverywhere, isForwarding, readUplinks, setForwarding } from "./host.ts";
import type { Names } from "./names.ts";
import type { NftWriter } from "./nft-writer.ts";

const ANY_HOME = /^cb[0-9a-f]{6}-/;

export class Uplinks {
  readonly #log: Log;
  readonly #writer: NftWriter;
  readonly #names: Names;
  readonly #switched: Set<string>;

  constructor(deps: { log: Log; writer: NftWriter }, names: Names, switched: readonly string[]) {
    this.#log = deps.log;
    this.#writer = deps.writer;
    this.#names = names;
    this.#switched = new Set(switched);
  }

  /** To be called again now and then: routes change, and others switch on what we did. */
  async refresh(): Promise<void> {
    if (await forwardsEverywhere()) return this.#forget();
    for (const link of await readUplinks(this.#names)) {
      if (this.#switched.has(link)) continue;
      // Another home's doing is ours as well: whoever ends last switches it off.
      if ((await isForwarding(link)) && !(await this.#hasOtherHomes())) continue;
      await this.#writer.write([`add element ${this.#names.table} uplinks { "${link}" }`]);
      this.#switched.add(link);
      if (!(await setForwarding(link, true))) continue;
      this.#log.info("IPv4 forwarding was switched on for sandboxes, until the platform ends", { interface: link });
    }
  }

  /** Lines that put into a new table what belongs there. */
  lines(): string[] {
    return [...this.#switched].map((link) => `add element ${this.#names.table} uplinks { "${link}" }`);
  }

  async restore(): Promise<void> {
    if ((await forwardsEverywhere()) || (await this.#hasOtherHomes())) return;
    for (const link of this.#switched) {
      await setForwarding(link, false);
      this.#log.info("IPv4 forwarding was switched off again", { interface: link });
    }
  }

  /** Somebody made the host a router: it is not ours to guard any more, nor to switch off. */
  async #forget(): Promise<void> {
    if (this.#switched.size === 0) return;
    await this.#writer.write([`flush set ${this.#names.table} uplinks`]);
    this.#switched.clear();
    this.#log.info("the whole host forwards IPv4 now: the platform's own limits on that are lifted");
  }

  async #hasOtherHomes(): Promise<boolean> {
    const links = await readdir("/sys/class/net");
    return links.some((link) => ANY_HOME.test(link) && !link.startsWith(this.#names.linkPrefix));
  }
}
