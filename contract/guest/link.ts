/**
 * The guest link: how a guest is told what to be and given invocations. The guest listens on one stream socket; the agent
 * dials its *control* stream, the owning gateway (or one it delegates to) a *data* stream, told apart by the preamble. Both
 * may be dialed again at any time; a newer control stream replaces the older one.
 *
 * docs/contracts/guest-link.md tells the whole story; the vectors beside this file fix the bytes.
 *
 *     pending ─LOAD→ loading ─LOADED→ loaded ─INIT→ initialising ─READY→ ready ─DRAIN→ draining → gone
 *                       └─FAILED→ failed                └─FAILED→ loaded (INIT may be sent again)
 *
 * LOAD may carry INIT with it. A guest whose load failed takes no other function: it is removed.
 *
 * Everything a guest sends is hostile input: user code shares its process.
 */
import { type ErrorCode, isErrorCode } from "../errors.ts";
import { isId, isName, isRevision } from "../names.ts";
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

/** Frame types. Control stream: 0x01–0x0f; data stream: 0x10–0x1f. HELLO opens both. */
export const GUEST_FRAMES = Object.freeze({
  HELLO: 0x01,
  LOAD: 0x02,
  CODE: 0x03,
  LOADED: 0x04,
  INIT: 0x05,
  READY: 0x06,
  PING: 0x07,
  PONG: 0x08,
  LOG: 0x09,
  DRAIN: 0x0a,
  FAILED: 0x0b,
  INVOKE: 0x10,
  ACCEPTED: 0x11,
  HEAD: 0x12,
  DATA: 0x13,
  END: 0x14,
  WINDOW: 0x15,
  CANCEL: 0x16,
  MISROUTED: 0x17,
});

/** Bytes of body that may be on the way, per stream and direction, before WINDOW gives more. Those in INVOKE and HEAD count. */
export const INITIAL_WINDOW = 256 * 1024;
/** A body is cut into frames of at most this many bytes. */
export const MAXIMUM_CHUNK = 64 * 1024;
/** At most this much of one log text; the guest cuts the rest and says so. */
export const MAXIMUM_LOG_TEXT = 16 * 1024;

/** Of an answer's HEAD, in characters: the guest refuses more as the user's error, since few clients take as much. */
export const MAXIMUM_HEAD = 64 * 1024;
/** Of an answer. */
export const MAXIMUM_ANSWER_HEADERS = 1_000;

export const GUEST_STATES = ["pending", "loading", "loaded", "initialising", "ready", "draining", "failed"] as const;
export type GuestState = (typeof GUEST_STATES)[number];
export const EXECUTIONS = ["loop", "threads", "process"] as const;
export type Execution = (typeof EXECUTIONS)[number];

const name = matching("a name", isName);
const revision = matching("a revision such as r1", isRevision);
const errorCode = matching("a code of the error catalogue", (value): value is ErrorCode => isErrorCode(value));

const revisionRef = { tenant: name, app: name, function: name, revision };

/** What a guest or handler reports of an exception. The guest itself writes it to the log; `stack` never goes to the caller. */
const thrown = object({ name: text(200), message: text(8_192), stack: optional(text(32_768)) });
export type Thrown = TypeOf<typeof thrown>;

/** Control stream, guest → agent, first frame: what it is and, after a reconnect, what it has become. */
export const guestHello = object({
  runtime: text(64),
  runtimeVersion: text(64),
  pid: integer(1),
  state: oneOf(...GUEST_STATES),
  bound: optional(object(revisionRef)),
  /** Ways in which it can be handed code. */
  delivers: list(oneOf("mount", "bytes"), 4),
});
export type GuestHello = TypeOf<typeof guestHello>;

export const guestInit = object({ timeoutMs: integer(1) });

/** Control stream, agent → guest. With `bytes`, CODE frames follow whose bodies are the bundle (a plain tar), the last with FIN. */
export const guestLoad = object({
  ...revisionRef,
  code: tagged("kind", { mount: object({ path: text(4_096) }), bytes: object({ bytes: integer(), digest: text(80) }) }),
  /** `file` or `file#export`, relative to the bundle. */
  handler: text(512),
  environment: map(text(131_072), 1_000),
  /** Slots: the guest refuses more invocations than this at once. */
  concurrency: integer(1, 10_000),
  execution: oneOf(...EXECUTIONS),
  memoryMiB: integer(1),
  timeoutMs: integer(1),
  /** Where given, it initialises as soon as it has loaded, as if INIT had come then. */
  init: optional(guestInit),
});
export type GuestLoad = TypeOf<typeof guestLoad>;

/** LOADED and READY. */
export const guestDone = object({ durationMs: number() });

/** Loading or initialising failed: the user's fault, with what was thrown. */
export const guestFailed = object({ phase: oneOf("load", "init"), code: errorCode, error: thrown });
export type GuestFailed = TypeOf<typeof guestFailed>;

export const guestPing = object({ sequence: integer() });
export const guestPong = object({ sequence: integer(), active: integer() });
export const guestDrain = object({ graceMs: integer() });

/** Log entries of user code, oldest first. `invocation` is absent for what was written outside of one. */
export const guestLog = object({
  entries: list(
    object({
      atMs: number(),
      stream: oneOf("stdout", "stderr"),
      level: oneOf("debug", "info", "warn", "error"),
      invocation: optional(matching("an id", isId)),
      text: text(MAXIMUM_LOG_TEXT + 64),
      truncated: optional(boolean),
    }),
    1_000,
  ),
  /** Entries that the guest had to drop before these, because the agent did not read fast enough. */
  dropped: optional(integer()),
});
export type GuestLog = TypeOf<typeof guestLog>;

/** Data stream, gateway → guest, first frame. A guest closes streams of an epoch below the highest it has seen. */
export const dataHello = object({ owner: text(128), epoch: integer() });
/** Data stream, guest → gateway, answer. */
export const dataWelcome = object({
  state: oneOf(...GUEST_STATES),
  slots: integer(0),
  bound: optional(object(revisionRef)),
});
export type DataWelcome = TypeOf<typeof dataWelcome>;

const flatHeaders = list(text(65_536), 2_000);

/** What the guest needs to know of an invocation. The body follows in the frame and in DATA until FIN. */
export const guestInvoke = object({
  id: matching("an id", isId),
  ...revisionRef,
  /** Milliseconds left until the deadline, counted from arrival: clocks need not agree. */
  budgetMs: number(),
  trace: optional(text(256)),
  /** Where there was a request. Headers flat: name, value, name, value. */
  request: optional(
    object({
      method: text(32),
      path: text(65_536),
      query: text(65_536),
      headers: flatHeaders,
      /** What its trigger captured of the path. Absent where it was called by the function's own URL, below which `path` then begins. */
      params: optional(map(text(65_536), 100)),
    }),
  ),
  /** Content type of the body where there was no request. */
  contentType: optional(text(1_024)),
});
export type GuestInvoke = TypeOf<typeof guestInvoke>;

/** The start of an answer: HEAD implies ACCEPTED. Hop-by-hop headers are dropped by the gateway. */
export const guestHead = object({ status: integer(200, 599), headers: flatHeaders });
export type GuestHead = TypeOf<typeof guestHead>;

/** The invocation is over. Without a head before it, a failed one becomes the answer's error. */
export const guestEnd = tagged("outcome", {
  ok: object({}),
  cancelled: object({}),
  error: object({ code: errorCode, error: thrown }),
});
export type GuestEnd = TypeOf<typeof guestEnd>;

export const guestWindow = object({ credit: integer(1, 1 << 30) });
export const guestCancel = object({ reason: oneOf("client", "deadline", "shutdown") });
export type CancelReason = TypeOf<typeof guestCancel>["reason"];

/** The guest did not take the invocation: nothing of it ran, it may be sent elsewhere. On stream 0: the whole data stream is refused. */
export const guestMisrouted = object({ reason: oneOf("unbound", "other-revision", "full", "draining", "epoch") });
export type MisroutedReason = TypeOf<typeof guestMisrouted>["reason"];

/** The error codes that a guest may report; others are treated as a violation. */
export const GUEST_ERROR_CODES: readonly ErrorCode[] = [
  "function-error",
  "answer-invalid",
  "bad-input",
  "load-failed",
  "init-failed",
  // Of one whose slots are processes of their own: one of them ended, and the others run on.
  "function-exited",
  "out-of-memory",
];
