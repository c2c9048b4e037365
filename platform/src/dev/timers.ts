import type { Clock } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import type { AppConfig } from "#contract/config/app-config.ts";
import { type Failure, PlatformError } from "#contract/errors.ts";
import { functionKey } from "#contract/names.ts";
import type { Answer } from "#platform/dispatch/answer.ts";
import type { Dispatch } from "#platform/gateway/dispatch.ts";
import type { Settle } from "#platform/gateway/settle.ts";
import type { Tell } from "./event.ts";
import { refOf } from "./revisions.ts";

/** The input of an invocation that a timer causes. */
export interface TimerInput {
  readonly trigger: "timer";
  /** The five fields of the trigger. */
  readonly schedule: string;
  /** When it was due, RFC 3339; fired by hand, now. */
  readonly scheduledAt: string;
}

export interface DevTimer {
  readonly function: string;
  readonly schedule: string;
}

export interface Fired {
  readonly invocation: string;
  readonly function: string;
  readonly schedule: string;
  readonly outcome: string;
  /** Of the function's answer; undefined where it has none. */
  readonly status: number | undefined;
  readonly message: string | undefined;
  readonly tookMs: number;
  /** As text, its beginning. */
  readonly answer: string;
}

const KEPT_ANSWER = 64 * 1024;

export function timersOf(config: AppConfig): DevTimer[] {
  return Object.entries(config.functions).flatMap(
    ([
      fn,
      {
        config: { policy },
      },
    ]) => policy.triggers.flatMap((trigger) => ("timer" in trigger ? [{ function: fn, schedule: trigger.timer }] : [])),
  );
}

export interface TimersDeps {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly dispatch: Dispatch;
  readonly settle: Settle;
  readonly tell: Tell;
  /** Its name. */
  readonly app: () => string;
}

/** Invocations as the platform's timers will make them, at once, and told of like requests. */
export function createTimers(deps: TimersDeps): (timer: DevTimer) => Promise<Fired> {
  /** @throws PlatformError where there is no such function now. */
  function fire(timer: DevTimer): Promise<Fired> {
    const { clock, ids, dispatch, settle } = deps;
    const app = deps.app();
    const revision = dispatch.route(functionKey(refOf(app, timer.function)));
    if (revision === undefined)
      throw new PlatformError("function-not-found", `there is no function ${app}/${timer.function}`);
    const input: TimerInput = {
      trigger: "timer",
      schedule: timer.schedule,
      scheduledAt: new Date(clock.now()).toISOString(),
    };
    const body = Buffer.from(JSON.stringify(input));
    const start = {
      ...{ id: ids.next(), headText: '"contentType":"application/json"', body, bodyBytes: body.length },
      ...{ trigger: "timer", startedMs: clock.now(), startedAt: clock.monotonic() },
    };
    return new Promise((resolve) => {
      const answer = collect((status, bytes, failure) => {
        resolve({
          ...{ invocation: start.id, function: timer.function, schedule: timer.schedule },
          outcome: failure?.code ?? "ok",
          status,
          message: failure?.message,
          tookMs: clock.monotonic() - start.startedAt,
          answer: Buffer.concat(bytes).toString("utf8"),
        });
      });
      settle.begin();
      const invocation = dispatch.submit(start, revision, answer.answer);
      answer.taken = (count) => dispatch.taken(invocation, count);
    });
  }

  return async (timer) => {
    const fired = await fire(timer);
    const { outcome, message, status, tookMs, invocation } = fired;
    const error = message === undefined ? undefined : { code: outcome, message };
    const target = `${timer.function} (${timer.schedule})`;
    deps.tell({ ...{ kind: "request", method: "TIMER", target, status, tookMs, coldMs: 0 }, invocation, error });
    return fired;
  };
}

type Ended = (status: number | undefined, bytes: readonly Buffer[], failure: Failure | undefined) => void;

/** An answer that keeps its beginning and takes the rest. */
function collect(ended: Ended): { readonly answer: Answer; taken: (bytes: number) => void } {
  const bytes: Buffer[] = [];
  let kept = 0;
  let status: number | undefined;
  const keep = (chunk: Buffer) => {
    if (kept < KEPT_ANSWER) bytes.push(chunk.subarray(0, KEPT_ANSWER - kept));
    kept += chunk.length;
  };
  const collected = {
    taken: (_bytes: number) => {},
    answer: {
      head(head, body, last) {
        status = head.status;
        if (body !== null) keep(body);
        if (last) ended(status, bytes, undefined);
        else if (body !== null) collected.taken(body.length);
      },
      data(chunk) {
        keep(chunk);
        collected.taken(chunk.length);
      },
      end: () => ended(status, bytes, undefined),
      failed: (failure) => ended(status, bytes, failure),
    } satisfies Answer,
  };
  return collected;
}
