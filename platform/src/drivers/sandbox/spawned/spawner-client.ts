import { type Clock, sleep } from "#base/clock.ts";
import { createDialer, type Dialer } from "#base/link/dialer.ts";
import type { Link, Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import type { ProcessName } from "#base/process-group.ts";
import type { Random } from "#base/random.ts";
import { PlatformError } from "#contract/errors.ts";
import { KEPT_OUTPUT, type SpawnerSignal, spawnerEvents, spawnerRequests } from "#contract/spawner/link.ts";

export type OutputStream = "stdout" | "stderr";
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: string | null;
}
/** A process, and the folder that is its own. */
export interface OwnedProcess extends ProcessName {
  readonly cwd: string;
}
export interface ProcessListener {
  output(stream: OutputStream, text: string): void;
  exited(exit: ProcessExit): void;
}
export interface ProcessCommand {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where a command that ends names the process that it leaves behind. */
  readonly pidFile?: string;
}

/** What was told of a process before anybody here listened. */
interface Unheard {
  output: { stream: OutputStream; text: string }[];
  length: number;
  exit: ProcessExit | undefined;
}

type SpawnerLink = MessageLink<
  typeof spawnerRequests,
  typeof spawnerEvents,
  Record<never, never>,
  Record<never, never>
>;

const ANSWER_MS = 10_000;
/** More than the spawner takes to give up on what can't be killed. */
export const SPAWNER_TELLS_MS = 10_000;
/** How long a request waits for a spawner that is being restarted. */
const RECONNECT_MS = 5_000;
const RECONNECT_POLL_MS = 10;
const TOLD_POLL_MS = 5;

/**
 * The driver's end of the spawner link, through the spawner's restarts.
 *
 * Owns: the link, and what was told of processes nobody listens to yet. Does not own: processes.
 * Invariants: 1. a process that is listened to and that a new spawner does not know is adopted by it, or told as exited;
 * 2. once `strict`, a process that the spawner has and nobody here knows is killed: its start was lost with a link.
 */
export class SpawnerClient {
  readonly #deps: { clock: Clock; log: Log };
  readonly #dialer: Dialer;
  readonly #listeners = new Map<string, { process: OwnedProcess; listener: ProcessListener }>();
  readonly #starting = new Set<string>();
  readonly #unheard = new Map<string, Unheard>();
  #children = new Map<string, ProcessName>();
  #link: SpawnerLink | undefined;
  #strict = false;

  constructor(deps: { network: Network; clock: Clock; random: Random; log: Log }, options: { address: string }) {
    this.#deps = deps;
    this.#dialer = createDialer(deps, { address: options.address, kind: "spawner" }, () => {
      const link: SpawnerLink = new MessageLink(
        deps,
        { asks: spawnerRequests, hears: spawnerEvents, serves: {}, emits: {} },
        {
          serve: {},
          hear: {
            output: ({ id, stream, text }) => this.#output(id, stream, text),
            exited: ({ id, code, signal }) => this.#exited(id, { code, signal }),
          },
          closed: () => this.#closed(link),
        },
      );
      return { ...link.handlers, opened: (raw: Link) => this.#opened(link.attach(raw)) };
    });
  }

  /** Resolves when the spawner has told what it has. @throws PlatformError `unavailable` when the signal aborts first. */
  async open(signal: AbortSignal): Promise<void> {
    this.#dialer.open();
    while (!this.connected) {
      if (signal.aborted) throw new PlatformError("unavailable", "the spawner does not answer");
      await sleep(this.#deps.clock, RECONNECT_POLL_MS, signal);
    }
  }

  async close(): Promise<void> {
    await this.#dialer.close();
  }

  get connected(): boolean {
    return this.#link !== undefined;
  }

  /** The processes that the spawner has, by id. */
  get children(): ReadonlyMap<string, ProcessName> {
    return this.#children;
  }

  async spawn(id: string, command: ProcessCommand): Promise<ProcessName> {
    this.#starting.add(id);
    try {
      const link = await this.#connectedLink();
      const name = await link.ask("spawn", { id, ...command, command: [...command.command] }, ANSWER_MS);
      this.#children.set(id, name);
      return name;
    } finally {
      this.#starting.delete(id);
    }
  }

  /** From now on the listener is told of the process, beginning with what was told before. */
  listen(id: string, process: OwnedProcess, listener: ProcessListener): void {
    this.#listeners.set(id, { process, listener });
    const unheard = this.#unheard.get(id);
    this.#unheard.delete(id);
    for (const { stream, text } of unheard?.output ?? []) listener.output(stream, text);
    if (unheard?.exit !== undefined) this.#exited(id, unheard.exit);
  }

  forget(id: string): void {
    this.#listeners.delete(id);
    this.#unheard.delete(id);
  }

  /** What nobody here knows is killed from now on. */
  becomeStrict(): void {
    this.#strict = true;
  }

  /** @throws PlatformError `unavailable` when the spawner is away. */
  async signal(id: string, signal: SpawnerSignal): Promise<void> {
    if (this.#link === undefined) throw new PlatformError("unavailable", "the spawner is away");
    await this.#link.ask("kill", { id, signal }, ANSWER_MS);
  }

  /** What has ended is named by the spawner until it has told so. False when it does not within the time. */
  async untilTold(id: string, patienceMs: number): Promise<boolean> {
    const { clock } = this.#deps;
    const untilMs = clock.monotonic() + patienceMs;
    const has = () => this.connected && this.#children.has(id);
    while (has() && clock.monotonic() < untilMs) await sleep(clock, TOLD_POLL_MS);
    if (has()) this.#deps.log.warn("the spawner does not tell that a process ended", { sandbox: id });
    return !has();
  }

  async adopt(id: string, process: OwnedProcess): Promise<boolean> {
    const link = await this.#connectedLink();
    const { pid, startTime, cwd } = process;
    const { adopted } = await link.ask("adopt", { id, pid, startTime, cwd }, ANSWER_MS);
    if (adopted) this.#children.set(id, process);
    return adopted;
  }

  async #connectedLink(): Promise<SpawnerLink> {
    const untilMs = this.#deps.clock.monotonic() + RECONNECT_MS;
    while (this.#link === undefined) {
      if (this.#deps.clock.monotonic() >= untilMs) throw new PlatformError("unavailable", "the spawner is away");
      await sleep(this.#deps.clock, RECONNECT_POLL_MS);
    }
    return this.#link;
  }

  async #opened(link: SpawnerLink): Promise<void> {
    const { children } = await link.ask("list", {}, ANSWER_MS);
    this.#children = new Map(children.map(({ id, pid, startTime }) => [id, { pid, startTime }]));
    this.#link = link;
    for (const id of this.#children.keys()) {
      if (this.#strict && !this.#listeners.has(id) && !this.#starting.has(id)) await this.signal(id, "SIGKILL");
    }
    for (const [id, { process }] of [...this.#listeners]) {
      if (this.#children.has(id)) continue;
      if (!(await this.adopt(id, process))) this.#exited(id, { code: null, signal: null });
    }
  }

  #closed(link: SpawnerLink): void {
    if (this.#link === link) this.#link = undefined;
  }

  #output(id: string, stream: OutputStream, text: string): void {
    const listening = this.#listeners.get(id);
    if (listening !== undefined) {
      listening.listener.output(stream, text);
      return;
    }
    if (!this.#mayBeHeard(id)) return;
    const unheard = this.#unheardOf(id);
    unheard.output.push({ stream, text });
    unheard.length += text.length;
    while (unheard.length > KEPT_OUTPUT && unheard.output.length > 1)
      unheard.length -= unheard.output.shift()!.text.length;
  }

  #exited(id: string, exit: ProcessExit): void {
    this.#children.delete(id);
    const listening = this.#listeners.get(id);
    if (listening === undefined) {
      if (this.#mayBeHeard(id)) this.#unheardOf(id).exit = exit;
      return;
    }
    this.#listeners.delete(id);
    listening.listener.exited(exit);
  }

  /** Once strict, nobody will ask for what nobody is starting: kept, it would stay for ever. */
  #mayBeHeard(id: string): boolean {
    return !this.#strict || this.#starting.has(id);
  }

  #unheardOf(id: string): Unheard {
    const unheard = this.#unheard.get(id) ?? { output: [], length: 0, exit: undefined };
    this.#unheard.set(id, unheard);
    return unheard;
  }
}
