import { createHash } from "node:crypto";
import type { Ids } from "#base/ids.ts";
import { stableJson } from "#base/stable-json.ts";
import type { ConfigChange, DeploymentPreview, DeploymentRequest } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import type { CreateOutcome, DeploymentState, Idempotency, NewDeployment, StoredEvent } from "#ports/store/index.ts";
import { noticeKey } from "../notices.ts";
import { type AdmissionDeps, admit } from "./admission.ts";
import { admitChange } from "./configuration.ts";
import { preview } from "./preview.ts";
import { Runner, type RunnerDeps, type RunnerOptions } from "./runner.ts";

export interface DeploymentsDeps extends AdmissionDeps, RunnerDeps {
  readonly ids: Ids;
}

const MAXIMUM_WAITING = 1_000;
const EVENTS_AT_ONCE = 200;

/** Deployments as callers know them: asked for, looked at, followed. */
export class Deployments {
  readonly #deps: DeploymentsDeps;
  readonly #runner: Runner;

  constructor(deps: DeploymentsDeps, options: RunnerOptions) {
    this.#deps = deps;
    this.#runner = new Runner(deps, options);
  }

  open(): Promise<void> {
    return this.#runner.open();
  }

  close(): Promise<void> {
    return this.#runner.close();
  }

  /** @throws PlatformError saying what is wrong with the request, or with its idempotency key. */
  create(tenant: string, request: DeploymentRequest, key: string | undefined): Promise<DeploymentState> {
    return this.#createOnce(tenant, idempotencyOf(key, request), async () => {
      const warnings = await admit(this.#deps, tenant, request);
      return { app: request.app, request, warnings };
    });
  }

  /** Changes what is set beside colibri.yaml, for the functions there are and those to come. @throws PlatformError */
  configure(tenant: string, app: string, change: ConfigChange, key: string | undefined): Promise<DeploymentState> {
    return this.#createOnce(tenant, idempotencyOf(key, { app, change }), async () => {
      const overrides = await admitChange(this.#deps.store, tenant, app, change);
      const reconfigure = change.function === undefined ? {} : { function: change.function };
      return { app, request: { app, functions: {}, reconfigure }, warnings: [], overrides };
    });
  }

  async #createOnce(
    tenant: string,
    idempotency: Idempotency | undefined,
    admitted: () => Promise<Pick<NewDeployment, "app" | "request" | "warnings" | "overrides">>,
  ): Promise<DeploymentState> {
    const { store, ids, clock } = this.#deps;
    const known = idempotency && (await store.knownDeployment(tenant, idempotency));
    if (known !== undefined) return settled(known);
    if (this.#runner.waiting >= MAXIMUM_WAITING)
      throw new PlatformError("unavailable", `${MAXIMUM_WAITING} deployments are waiting: try again in a moment.`);
    const wanted = { ...(await admitted()), id: ids.next(), createdAtMs: clock.now(), idempotency };
    const outcome = await store.createDeployment(tenant, wanted);
    if (outcome.kind === "created") this.#runner.submit(tenant, wanted.app, outcome.deployment.id);
    return settled(outcome);
  }

  /** @throws PlatformError saying what is wrong with the request. */
  preview(tenant: string, request: DeploymentRequest): Promise<DeploymentPreview> {
    return preview(this.#deps, tenant, request);
  }

  /** What was told so far from `after` on, then what comes, until the deployment ends or the signal aborts. */
  async *follow(tenant: string, id: string, after: number, signal: AbortSignal): AsyncGenerator<StoredEvent> {
    const { store, notices } = this.#deps;
    let last = after;
    while (!signal.aborted) {
      const news = notices.next(noticeKey(tenant, id), signal);
      const events = await store.events(tenant, id, last, EVENTS_AT_ONCE);
      for (const event of events) {
        yield event;
        last = event.number;
      }
      if (events.length < EVENTS_AT_ONCE && !(await this.#continues(tenant, id, last, news))) return;
    }
  }

  /** Waits for more; false when there will be none, since `after` is behind the end. */
  async #continues(tenant: string, id: string, last: number, news: Promise<void>): Promise<boolean> {
    const { store } = this.#deps;
    const state = await store.deployment(tenant, id);
    const ended = state === undefined || state.finishedAtMs !== undefined;
    if (ended) return (await store.events(tenant, id, last, 1)).length > 0;
    await news;
    return true;
  }
}

function settled(outcome: CreateOutcome): DeploymentState {
  if (outcome.kind !== "mismatch") return outcome.deployment;
  const message = `The Idempotency-Key was used for deployment ${outcome.id} with another body: use a new key.`;
  throw new PlatformError("conflict", message);
}

function idempotencyOf(key: string | undefined, asked: unknown): Idempotency | undefined {
  if (key === undefined) return undefined;
  return { key, request: createHash("sha256").update(stableJson(asked)).digest("hex") };
}
