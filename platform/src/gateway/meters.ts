import { type Counter, type Histogram, type Metrics, SECONDS } from "#base/metrics.ts";
import type { Invocation } from "../dispatch/invocation.ts";
import type { RevisionDispatch } from "../dispatch/revision-dispatch.ts";

/** Series of one revision, looked up once. */
interface RevisionSeries {
  readonly ok: Counter;
  readonly wait: Histogram;
  readonly run: Histogram;
  readonly cold: Counter;
  readonly bodyBytes: Counter;
  readonly answerBytes: Counter;
  /** By outcome; `ok` apart, since it is the common case. */
  readonly failed: Map<string, Counter>;
}

/** What the gateway counts, for /metrics. */
export class Meters {
  readonly #metrics: Metrics;
  readonly #series = new WeakMap<RevisionDispatch, RevisionSeries>();

  constructor(deps: {
    metrics: Metrics;
    inFlight: () => number;
    revisions: () => Iterable<RevisionDispatch>;
  }) {
    this.#metrics = deps.metrics;
    const sum = (of: (revision: RevisionDispatch) => number) => () =>
      [...deps.revisions()].reduce((total, revision) => total + of(revision), 0);
    this.#metrics.read(
      "colibri_invocations_in_flight",
      "Invocations whose caller waits for the answer.",
      {},
      deps.inFlight,
    );
    this.#metrics.read(
      "colibri_invocations_queued",
      "Invocations that wait for a slot.",
      {},
      sum((revision) => revision.waiting.length),
    );
    this.#metrics.read(
      "colibri_sandboxes",
      "Sandboxes that the gateway holds, by state.",
      { state: "ready" },
      sum((revision) => revision.ready - revision.frozen),
    );
    this.#metrics.read(
      "colibri_sandboxes",
      "Sandboxes that the gateway holds, by state.",
      { state: "frozen" },
      sum((revision) => revision.frozen),
    );
    this.#metrics.read(
      "colibri_sandboxes",
      "Sandboxes that the gateway holds, by state.",
      { state: "starting" },
      sum((revision) => revision.starting),
    );
    this.#metrics.read(
      "colibri_slots_used",
      "Slots in use.",
      {},
      sum((revision) => revision.running),
    );
  }

  count(invocation: Invocation, waitMs: number, runMs: number): void {
    const { revision } = invocation;
    const series = this.#series.get(revision) ?? this.#resolve(revision);
    if (invocation.outcome === "ok") series.ok.value++;
    else this.#countFailed(series, revision, invocation.outcome);
    series.wait.observe(waitMs / 1_000);
    series.run.observe(runMs / 1_000);
    if (invocation.coldMs > 0) series.cold.value++;
    series.bodyBytes.value += invocation.bodyBytes;
    series.answerBytes.value += invocation.answerBytes;
  }

  /** Series of a function that is gone are forgotten. */
  forget(ref: { readonly tenant: string; readonly app: string; readonly function: string }): void {
    this.#metrics.forget({ tenant: ref.tenant, app: ref.app, function: ref.function });
  }

  render(): string {
    return this.#metrics.render();
  }

  #resolve(revision: RevisionDispatch): RevisionSeries {
    const { tenant, app, function: name } = revision.ref;
    const labels = { tenant, app, function: name };
    const series: RevisionSeries = {
      ok: this.#outcome(revision, "ok"),
      wait: this.#metrics.histogram(
        "colibri_invocation_wait_seconds",
        "From the request to the slot.",
        SECONDS,
        labels,
      ),
      run: this.#metrics.histogram(
        "colibri_invocation_run_seconds",
        "From the slot to the end of the answer.",
        SECONDS,
        labels,
      ),
      cold: this.#metrics.counter(
        "colibri_invocations_cold_total",
        "Invocations that waited for a sandbox to start.",
        labels,
      ),
      bodyBytes: this.#metrics.counter("colibri_body_bytes_total", "Bytes of request bodies.", labels),
      answerBytes: this.#metrics.counter("colibri_answer_bytes_total", "Bytes of answers.", labels),
      failed: new Map(),
    };
    this.#series.set(revision, series);
    return series;
  }

  #countFailed(series: RevisionSeries, revision: RevisionDispatch, outcome: string): void {
    let counter = series.failed.get(outcome);
    if (counter === undefined) {
      counter = this.#outcome(revision, outcome);
      series.failed.set(outcome, counter);
    }
    counter.value++;
  }

  #outcome(revision: RevisionDispatch, outcome: string): Counter {
    const { tenant, app, function: name } = revision.ref;
    return this.#metrics.counter("colibri_invocations_total", "Invocations by outcome.", {
      tenant,
      app,
      function: name,
      outcome,
    });
  }
}
