import type { Clock } from "#base/clock.ts";
import type { Link, LinkHandlers, Listener, Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import { PlatformError, toFailure } from "#contract/errors.ts";
import {
  type LogsItem,
  type RecordsItem,
  type ReportItem,
  reportEvents,
  reportItem,
  reportServed,
} from "#contract/report/report.ts";
import { parse, ShapeError, type TypeOf } from "#contract/shape.ts";

/** A run that nobody has been connected for since so long is forgotten. */
const FORGET_MS = 3_600_000;
const SIDES = { asks: {}, hears: reportEvents, serves: reportServed, emits: {} };
type Hello = TypeOf<typeof reportServed.hello.request>;
type Batch = TypeOf<typeof reportServed.batch.request>;
type Acknowledged = { readonly acknowledged: number };

export interface Reporter {
  readonly role: string;
  readonly instance: string;
  readonly pid: number;
  /** RFC 3339. */
  readonly since: string;
}

/** Where reports end up. Each resolves when what it was given is safe. */
export interface ReportSinks {
  records(items: readonly RecordsItem[]): Promise<void>;
  logs(items: readonly LogsItem[]): Promise<void>;
  meters(reporter: { readonly role: string; readonly instance: string }, text: string): void;
}

export interface ReportServer {
  open(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
  /** Who is connected now. */
  reporters(): Reporter[];
  /** Items that could not be kept, by instance: dropped there, or refused here as malformed. */
  dropped(): Record<string, number>;
}

export interface ReportServerDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks: ReportSinks;
}

/** Takes the reports of gateways and agents (docs/contracts/report-stream.md). */
export function createReportServer(deps: ReportServerDeps, options: { readonly address: string }): ReportServer {
  const runs = new Map<string, Run>();
  const connected = new Map<Link, Reporter>();
  let listener: Listener | undefined;

  function runOf(hello: Hello): Run {
    const old = runs.get(hello.instance);
    const run = old?.id === hello.run ? old : new Run(deps, hello, old?.dropped ?? 0);
    runs.set(hello.instance, run);
    return run;
  }

  function forgetOld(): void {
    const before = deps.clock.now() - FORGET_MS;
    for (const [instance, run] of runs) if (run.links === 0 && run.heardAtMs < before) runs.delete(instance);
  }

  function accept(link: Link): LinkHandlers {
    let run: Run | undefined;
    let broken = false;
    const messages = new MessageLink(deps, SIDES, {
      serve: {
        hello(value) {
          if (run !== undefined) throw new PlatformError("conflict", "this link has said hello already");
          forgetOld();
          run = runOf(value);
          run.links++;
          const since = new Date(deps.clock.now()).toISOString();
          connected.set(link, { role: value.role, instance: value.instance, pid: value.pid, since });
          return { acknowledged: run.kept };
        },
        async batch(value) {
          if (run === undefined) throw new PlatformError("request-invalid", "batch: expected hello first");
          // After one that failed, those behind it on this link would leave a hole.
          if (broken) throw new PlatformError("unavailable", "an earlier batch of this link was not kept");
          try {
            return await run.take(value);
          } catch (error) {
            broken = true;
            deps.clock.after(0, () => messages.close(error instanceof Error ? error : new Error(String(error))));
            throw error;
          }
        },
      },
      hear: {},
      closed() {
        connected.delete(link);
        if (run !== undefined) run.links--;
      },
    });
    messages.attach(link);
    return messages.handlers;
  }

  return {
    async open(signal) {
      signal.throwIfAborted();
      listener = await deps.network.listen(options.address, ["report"], accept);
    },
    async close() {
      const open = listener;
      listener = undefined;
      await open?.close();
      await Promise.all([...runs.values()].map((run) => run.settled()));
    },
    reporters: () => [...new Map([...connected.values()].map((reporter) => [reporter.instance, reporter])).values()],
    dropped: () => Object.fromEntries([...runs].map(([instance, run]) => [instance, run.dropped])),
  };
}

/**
 * The batches of one run of one instance, over all its links.
 *
 * Owns: which number was taken last and which kept last. Does not own: links, sinks.
 * Invariants: 1. a number is given to the sinks again only if it was not kept; 2. one batch at a time, in order; 3. what is
 * acknowledged is kept.
 */
class Run {
  readonly id: string;
  links = 0;
  heardAtMs: number;
  readonly #deps: ReportServerDeps;
  readonly #who: { readonly role: string; readonly instance: string };
  readonly #droppedBefore: number;
  #droppedThere = 0;
  #refused = 0;
  #taken = 0;
  #kept = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(deps: ReportServerDeps, hello: Hello, droppedBefore: number) {
    this.id = hello.run;
    this.#deps = deps;
    this.#who = { role: hello.role, instance: hello.instance };
    this.#droppedBefore = droppedBefore;
    this.heardAtMs = deps.clock.now();
  }

  get kept(): number {
    return this.#kept;
  }

  get dropped(): number {
    return this.#droppedBefore + this.#droppedThere + this.#refused;
  }

  async take(batch: Batch): Promise<Acknowledged> {
    this.heardAtMs = this.#deps.clock.now();
    if (batch.number > this.#taken) {
      this.#taken = batch.number;
      this.#tail = this.#tail.then(() => this.#keep(batch));
    }
    const tail = this.#tail;
    try {
      await tail;
    } catch (error) {
      // Those chained behind it have failed with it; after the newest, it starts again behind what was kept.
      if (this.#tail === tail) {
        this.#tail = Promise.resolve();
        this.#taken = this.#kept;
      }
      throw error;
    }
    return { acknowledged: this.#kept };
  }

  /** Resolves when nothing is under way. */
  settled(): Promise<void> {
    return this.#tail.catch(() => {});
  }

  async #keep({ number, items, dropped }: Batch): Promise<void> {
    const { sinks, log } = this.#deps;
    const { good, problems } = sort(items);
    try {
      // In this order: records have keys, so storing them again after the logs failed does no harm.
      if (good.records.length > 0) await sinks.records(good.records);
      if (good.logs.length > 0) await sinks.logs(good.logs);
    } catch (error) {
      log.error("reports could not be kept: they will be sent again", { ...this.#who, number, error });
      throw new PlatformError("unavailable", toFailure(error).message, { cause: error });
    }
    const meters = good.meters.at(-1);
    if (meters !== undefined) sinks.meters(this.#who, meters);
    this.#kept = number;
    this.#droppedThere = Math.max(this.#droppedThere, dropped ?? 0);
    this.#refused += problems.length;
    if (problems.length > 0)
      log.warn("malformed reports refused", { ...this.#who, number, count: problems.length, first: problems[0] });
  }
}

interface Sorted {
  readonly good: { readonly records: RecordsItem[]; readonly logs: LogsItem[]; readonly meters: string[] };
  readonly problems: string[];
}

/** Each item is checked by itself, so that a malformed one harms no other. */
function sort(items: readonly unknown[]): Sorted {
  const sorted: Sorted = { good: { records: [], logs: [], meters: [] }, problems: [] };
  items.forEach((value, index) => {
    try {
      place(parse(reportItem, value, `items[${index}]`), sorted.good);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      sorted.problems.push(error.message);
    }
  });
  return sorted;
}

function place(item: ReportItem, good: Sorted["good"]): void {
  if (item.kind === "records") good.records.push(item);
  else if (item.kind === "logs") good.logs.push(item);
  else good.meters.push(item.text);
}
