/**
 * Plans: what control tells gateways (RoutePlan, one per function) and agents (LaunchSpec, one per revision). Apart, because
 * a gateway needs no environment and an agent no routes. Revisions never change; policy does, without a new revision.
 */
import { EXECUTIONS } from "../guest/link.ts";
import { isName, isRevision } from "../names.ts";
import {
  boolean,
  integer,
  list,
  map,
  matching,
  number,
  object,
  oneOf,
  optional,
  type TypeOf,
  tagged,
  text,
} from "../shape.ts";

const name = matching("a name", isName);
const revision = matching("a revision", isRevision);
const functionRef = { tenant: name, app: name, function: name };

const httpTrigger = object({
  /** Upper-case method, or `*`. */
  method: text(16),
  /** Path pattern: literal segments, `{name}` for one segment, `{name*}` at the end for the rest. */
  path: text(1_024),
  host: optional(text(256)),
});
export type HttpTrigger = TypeOf<typeof httpTrigger>;

export const routePlan = object({
  ...functionRef,
  /** Alias `live`: a weighted split of revisions. Weights are positive and add up to 100. */
  live: list(object({ revision, weight: integer(1, 100) }), 16),
  /** What dispatch must know of each revision named in `live`. */
  revisions: map(
    object({ runtime: text(64), memoryMiB: integer(1), concurrency: integer(1, 10_000), timeoutMs: integer(1) }),
  ),
  policy: object({
    scaling: object({ min: integer(), max: integer(1), keepAliveMs: integer() }),
    queue: object({ length: integer(), timeoutMs: integer(1) }),
    limits: object({ bodyBytes: integer() }),
    access: tagged("kind", { open: object({}) }),
    triggers: list(httpTrigger, 100),
  }),
});
export type RoutePlan = TypeOf<typeof routePlan>;

export const launchSpec = object({
  ...functionRef,
  revision,
  runtime: text(64),
  handler: text(512),
  execution: oneOf(...EXECUTIONS),
  bundle: object({ digest: text(80), bytes: integer() }),
  memoryMiB: integer(1),
  concurrency: integer(1, 10_000),
  timeoutMs: integer(1),
  initTimeoutMs: integer(1),
  environment: map(text(131_072), 1_000),
  /** Opened by the agent only when it binds a sandbox. */
  sealedSecrets: list(object({ name: text(256), sealed: text() }), 1_000),
});
export type LaunchSpec = TypeOf<typeof launchSpec>;

const change = tagged("kind", {
  put: object({ key: text(512), plan: object({}) }),
  remove: object({ key: text(512) }),
});
export type PlanChange = TypeOf<typeof change>;

/** Which plans a subscriber wants. `routes` keys are `tenant/app/function`, `launches` keys end in `@revision`. */
export const PLAN_TOPICS = ["routes", "launches"] as const;
export type PlanTopic = (typeof PLAN_TOPICS)[number];

export const planRequests = Object.freeze({
  /**
   * Start the stream. `after` is the last number the subscriber holds of this `store` (0: nothing). Control answers, then
   * sends one `snapshot` when it can't resume from there, then every `changes`, without gaps.
   */
  subscribe: {
    request: object({
      role: text(32),
      instance: text(128),
      pid: integer(0),
      topic: oneOf(...PLAN_TOPICS),
      store: text(64),
      after: integer(),
    }),
    answer: object({ store: text(64), number: integer(), resumed: boolean }),
  },
});
export const planEvents = Object.freeze({
  /** Everything, as of `number`; sent in parts so that no frame is too large, the last with `done`. */
  snapshot: object({ store: text(64), number: integer(), entries: list(change, 1_000), done: boolean }),
  changes: object({ from: integer(), number: integer(), entries: list(change, 1_000) }),
});
export type PlanStamp = { readonly store: string; readonly number: number };
export const planStamp = object({ store: text(64), number: number() });
