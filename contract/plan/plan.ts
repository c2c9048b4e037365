/**
 * Plans: what control tells gateways (RoutePlan, one per function) and agents (LaunchSpec, one per revision). Apart, because
 * a gateway needs no environment and an agent no routes. Revisions never change; policy does, without a new revision, and so does the
 * network that a LaunchSpec names.
 */
import { EXECUTIONS } from "../guest/link.ts";
import { functionKey, isName, isRevision, revisionKey } from "../names.ts";
import { networkPolicy } from "../network/policy.ts";
import {
  anything,
  boolean,
  integer,
  list,
  map,
  matching,
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

const routePlan = object({
  ...functionRef,
  /** Alias `live`: a weighted split of revisions. Weights are positive and add up to 100. */
  live: list(object({ revision, weight: integer(1, 100) }), 16),
  /** What dispatch must know of each revision named in `live`. */
  revisions: map(
    object({ runtime: text(64), memoryMiB: integer(1), concurrency: integer(1, 10_000), timeoutMs: integer(1) }),
  ),
  policy: object({
    /** Idle sandboxes are frozen after `freezeAfterMs`, never without it. */
    scaling: object({
      min: integer(),
      max: integer(1),
      keepAliveMs: integer(),
      freezeAfterMs: optional(integer()),
    }),
    queue: object({ length: integer(), timeoutMs: integer(1) }),
    limits: object({ bodyBytes: integer() }),
    access: tagged("kind", { open: object({}) }),
    triggers: list(httpTrigger, 100),
  }),
});
export type RoutePlan = TypeOf<typeof routePlan>;

const launchSpec = object({
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
  /** The app's as it is now: of a revision this alone changes, and for sandboxes that run it too. */
  network: networkPolicy,
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
const PLAN_TOPICS = ["routes", "launches"] as const;
export type PlanTopic = (typeof PLAN_TOPICS)[number];

export interface PlanOfTopic {
  readonly routes: RoutePlan;
  readonly launches: LaunchSpec;
}

/** What is wrong with an entry, or undefined: then `value` is a plan of the topic. Readers skip what is wrong. */
export function planProblem(topic: PlanTopic, key: string, value: unknown): string | undefined {
  return topic === "routes" ? routeProblem(key, value) : launchProblem(key, value);
}

function routeProblem(key: string, value: unknown): string | undefined {
  const problem = routePlan.check(value, "");
  if (problem !== undefined) return problem;
  const plan = value as RoutePlan;
  if (functionKey(plan) !== key) return `: a plan of ${functionKey(plan)} under this key`;
  const unknown = plan.live.find((part) => !Object.hasOwn(plan.revisions, part.revision));
  if (unknown !== undefined) return `.live: ${unknown.revision} is not among .revisions`;
  const weight = plan.live.reduce((sum, part) => sum + part.weight, 0);
  return weight === 100 ? undefined : `.live: weights add up to ${weight}, not 100`;
}

function launchProblem(key: string, value: unknown): string | undefined {
  const problem = launchSpec.check(value, "");
  if (problem !== undefined) return problem;
  const found = revisionKey(value as LaunchSpec);
  return found === key ? undefined : `: a spec of ${found} under this key`;
}

/** One entry is at most this many bytes of JSON: alone in an event it still fits a frame. */
export const PLAN_BYTES = 1_000_000;
/** Entries are put together up to this many bytes of JSON in one event. */
export const PLAN_PART_BYTES = 512 * 1024;
export const PLAN_PART_ENTRIES = 1_000;

export const planRequests = Object.freeze({
  /**
   * Start the stream, once per link. `after` is the last number the subscriber holds of this `store` (0: nothing). Control
   * answers, then sends one `snapshot` when it can't resume from there, then every `changes`, without gaps.
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
/** Control asks these of whoever subscribed, on the same link. */
export const planQuestions = Object.freeze({
  /**
   * Which number do you hold? Messages of a link are in order and events take effect as they are read: an answer says that what
   * was sent before the question is in effect and, if that can be written, on disk. It carries a number no smaller than the last
   * one sent.
   */
  barrier: { request: object({}), answer: object({ number: integer() }) },
});
/** Control tells. */
export const planEvents = Object.freeze({
  /** Everything, as of `number`; sent in parts so that no frame is too large, the last with `done`. Takes effect with `done`. */
  snapshot: object({ store: text(64), number: integer(), entries: list(change, PLAN_PART_ENTRIES), done: boolean }),
  /**
   * `from` is the number the subscriber holds, else there is a gap. Cut into parts, all but the last have `number` = `from`: a
   * subscriber cut off between them asks for all of them again. Entries set state, so taking one twice does no harm.
   */
  changes: object({ from: integer(), number: integer(), entries: list(change, PLAN_PART_ENTRIES) }),
});

/** A subscriber's copy on disk: it resumes from `number` of `store`. Entries are checked one by one, as those that arrive. */
export const planCopy = object({
  version: integer(1, 1),
  topic: oneOf(...PLAN_TOPICS),
  store: text(64),
  number: integer(),
  entries: map(anything, Number.MAX_SAFE_INTEGER),
});
export type PlanCopy = TypeOf<typeof planCopy>;
