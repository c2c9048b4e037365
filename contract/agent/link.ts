/**
 * The agent link: owner (gateway) ⇄ agent. JSON messages (contract/link/message.ts). The agent arbitrates its own sandboxes:
 * each is held by at most one owner under a *grant* (owner, epoch, end), renewed by heartbeat; requests of an older epoch than
 * the highest seen are fenced. Requests are answered at once; what takes time is told by events.
 */

import { ERRORS, type ErrorCode, isErrorCode } from "../errors.ts";
import { isName, isRevision } from "../names.ts";
import { boolean, integer, list, map, matching, number, object, oneOf, optional, type TypeOf, text } from "../shape.ts";

const name = matching("a name", isName);
const revisionRef = object({ tenant: name, app: name, function: name, revision: matching("a revision", isRevision) });
const sandboxId = text(64);
const epoch = integer(1);
const errorCode = matching(`one of ${Object.keys(ERRORS).length} error codes`, (value): value is ErrorCode =>
  isErrorCode(value),
);
const failure = object({ code: errorCode, message: text() });

/**
 * A sandbox as the agent sees it; the same words as the guest's states, with a beginning and an end around them.
 *
 *     starting → pending → loading → loaded → initialising → ready ⇄ frozen, ready → draining → gone
 */
export const SANDBOX_STATES = [
  "starting",
  "pending",
  "loading",
  "loaded",
  "initialising",
  "ready",
  "frozen",
  "draining",
  "gone",
] as const;
export type SandboxState = (typeof SANDBOX_STATES)[number];

/** Why a sandbox is gone. */
export const GONE_CAUSES = [
  "stopped",
  "idle",
  "exited",
  "out-of-memory",
  "killed",
  "start-failed",
  "load-failed",
  "violation",
  "grant-ended",
  "host",
] as const;
export type GoneCause = (typeof GONE_CAUSES)[number];

const sandbox = object({
  sandbox: sandboxId,
  /** Where its guest listens, for whoever dials the data stream. */
  address: text(1_024),
  state: oneOf(...SANDBOX_STATES),
  runtime: text(64),
  memoryMiB: integer(1),
  bound: optional(revisionRef),
  /** 0 until it is told to load. */
  slots: integer(0),
  /** Of the grant, 0 when nobody holds it. */
  epoch: integer(0),
});
export type SandboxView = TypeOf<typeof sandbox>;

/** request → answer, by name. Every request carries the owner's epoch. */
export const agentRequests = Object.freeze({
  /** First on every connection; takes over the grants that the same owner held under older epochs, and answers their sandboxes. */
  hello: {
    request: object({ owner: text(128), epoch }),
    answer: object({
      agent: text(128),
      host: text(256),
      labels: map(text(256)),
      grantMs: integer(1),
      sandboxes: list(sandbox),
    }),
  },
  /**
   * A sandbox for a revision: from the pool if one waits (`hit`), else started. Held by the caller from now on; with `load` it is
   * told to load as well, which saves asking for it.
   */
  acquire: {
    request: object({ epoch, revision: revisionRef, load: optional(boolean) }),
    answer: object({ sandbox: sandboxId, address: text(1_024), pooled: oneOf("hit", "miss") }),
  },
  /** Delivers code and environment, then initialises. Answered when begun; `ready` or `gone` tells the end. */
  load: { request: object({ epoch, sandbox: sandboxId, revision: revisionRef }), answer: object({}) },
  freeze: { request: object({ epoch, sandbox: sandboxId }), answer: object({}) },
  thaw: { request: object({ epoch, sandbox: sandboxId }), answer: object({}) },
  /** Let it finish what runs, for at most graceMs, then remove it. */
  drain: { request: object({ epoch, sandbox: sandboxId, graceMs: integer() }), answer: object({}) },
  /** Remove it now. `reason` is logged and told in `gone`. */
  release: {
    request: object({ epoch, sandbox: sandboxId, cause: oneOf(...GONE_CAUSES), reason: text(1_024) }),
    answer: object({}),
  },
  list: { request: object({ epoch }), answer: object({ sandboxes: list(sandbox) }) },
  /** Renews every grant of the owner. */
  heartbeat: { request: object({ epoch }), answer: object({}) },
});

/** agent → owner. */
export const agentEvents = Object.freeze({
  /** Ready for invocations. Milliseconds of each step, for Server-Timing and the log. */
  ready: object({ sandbox: sandboxId, startMs: number(), loadMs: number(), initMs: number() }),
  /** Initialisation failed; the sandbox still lives and `load` may be asked again. */
  failed: object({ sandbox: sandboxId, failure }),
  gone: object({ sandbox: sandboxId, cause: oneOf(...GONE_CAUSES), failure: optional(failure) }),
  health: object({ sandbox: sandboxId, state: oneOf("answering", "busy") }),
  capacity: object({ memoryMiB: integer(), freeMiB: integer(), sandboxes: integer() }),
  /** Digests of bundles on this host, so that placement can prefer it. */
  bundles: object({ digests: list(text(80)) }),
});
export type AgentEvents = { [K in keyof typeof agentEvents]: TypeOf<(typeof agentEvents)[K]> };
