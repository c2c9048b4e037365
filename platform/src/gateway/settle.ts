import type { Clock, Timer } from "#base/clock.ts";
import { roundToMicroseconds } from "#base/clock.ts";
import { ERRORS, type ErrorCode } from "#contract/errors.ts";
import type { Telemetry } from "#ports/telemetry/telemetry.ts";
import type { Invocation } from "../dispatch/invocation.ts";
import type { RevisionDispatch } from "../dispatch/revision-dispatch.ts";
import type { Meters } from "./meters.ts";

/** Records leave together: this often, or when a function has this many characters of them. */
const FLUSH_MS = 100;
const FLUSH_CHARACTERS = 256 * 1024;

interface Batch {
  rows: string;
  count: number;
  first: string;
  last: string;
}

/**
 * Hop 5: what remains of an invocation when its caller has the answer. Never waits, never fails, never holds up the answer.
 *
 * Owns: the number of invocations under way, and the records not yet handed to telemetry.
 */
export class Settle {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #meters: Meters;
  readonly #batches = new Map<RevisionDispatch, Batch>();
  #timer: Timer | undefined;
  #inFlight = 0;

  constructor(deps: { clock: Clock; telemetry: Telemetry; meters: Meters }) {
    this.#clock = deps.clock;
    this.#telemetry = deps.telemetry;
    this.#meters = deps.meters;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** One more is under way: said before it is handed to dispatch, whose word that it is over comes to `settle`. */
  begin(): void {
    this.#inFlight++;
  }

  settle(invocation: Invocation): void {
    this.#inFlight--;
    const waitMs = (invocation.forwardedAt === 0 ? invocation.endedAt : invocation.forwardedAt) - invocation.startedAt;
    const runMs = invocation.forwardedAt === 0 ? 0 : invocation.endedAt - invocation.forwardedAt;
    this.#meters.count(invocation, waitMs, runMs);
    this.#record(invocation, waitMs, runMs);
    if (invocation.reason !== "") this.#tell(invocation);
  }

  /** Hands over what there is. */
  flush(): void {
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    for (const [revision, batch] of this.#batches) this.#send(revision, batch);
    this.#batches.clear();
  }

  /** What ended it, in the function's own log: code that was killed could not say so. */
  #tell({ id, revision, sandbox, reason }: Invocation): void {
    const { tenant, app, function: name, revision: number } = revision.ref;
    const entry = { atMs: this.#clock.now(), stream: "stderr", level: "error", invocation: id, text: reason } as const;
    const log = { entries: [entry] };
    this.#telemetry.add({
      kind: "logs",
      tenant,
      app,
      function: name,
      revision: number,
      sandbox: sandbox?.id ?? "",
      from: "platform",
      log,
    });
  }

  #record(invocation: Invocation, waitMs: number, runMs: number): void {
    const { revision, id, outcome } = invocation;
    // What the caller got, or would have got: the function's own status once it has begun to answer.
    const status = invocation.status === 0 ? callerStatus(outcome) : invocation.status;
    const sandbox = invocation.sandbox?.id ?? "";
    const row = `["${id}","${revision.ref.revision}","${outcome}",${status},${invocation.startedMs},${roundToMicroseconds(waitMs)},${roundToMicroseconds(invocation.coldMs)},${roundToMicroseconds(runMs)},${invocation.bodyBytes},${invocation.answerBytes},"${sandbox}","${invocation.trigger}"]`;
    const batch = this.#batches.get(revision);
    if (batch === undefined) {
      this.#batches.set(revision, { rows: row, count: 1, first: id, last: id });
      this.#timer ??= this.#clock.after(FLUSH_MS, () => this.flush());
      return;
    }
    batch.rows += `,${row}`;
    batch.count++;
    if (id < batch.first) batch.first = id;
    if (id > batch.last) batch.last = id;
    if (batch.rows.length < FLUSH_CHARACTERS) return;
    this.#batches.delete(revision);
    this.#send(revision, batch);
  }

  #send(revision: RevisionDispatch, batch: Batch): void {
    const { tenant, app, function: name } = revision.ref;
    const { first, last, count } = batch;
    this.#telemetry.add({ kind: "records", tenant, app, function: name, first, last, count, rows: `[${batch.rows}]` });
  }
}

function callerStatus(outcome: "ok" | ErrorCode): number {
  return outcome === "ok" ? 200 : ERRORS[outcome].status;
}
