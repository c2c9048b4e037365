/**
 * The peer link: gateway ⇄ gateway, gateway → async, async → gateway. Control messages are JSON messages; an invocation that is
 * relayed travels as guest-link data frames, unparsed, on streams that `forward` opened.
 */
import { isId, isName, isRevision } from "../names.ts";
import { integer, list, matching, number, object, optional, text } from "../shape.ts";

const name = matching("a name", isName);
const functionRef = { tenant: name, app: name, function: name };
const revisionRef = object({ ...functionRef, revision: matching("a revision", isRevision) });

export const peerRequests = Object.freeze({
  hello: {
    request: object({ role: text(32), instance: text(128) }),
    answer: object({ role: text(32), instance: text(128) }),
  },
  /** Hand over an invocation to be run later; answered once it is committed. Body in frames of the same stream. */
  submit: {
    request: object({
      id: matching("an id", isId),
      ...functionRef,
      contentType: optional(text(1_024)),
      bodyBytes: optional(integer()),
    }),
    answer: object({ id: text(64) }),
  },
  /** Ask the owner for a slot to send to directly. */
  acquire: {
    request: object({ ...functionRef, budgetMs: number() }),
    answer: object({ revision: revisionRef, address: text(1_024), epoch: integer(1), slot: integer() }),
  },
  /** Ask a gateway on the sandbox's host to relay one invocation to `address`. */
  forward: { request: object({ address: text(1_024), epoch: integer(1) }), answer: object({}) },
  /** The sender stops owning these functions; the receiver takes them with what they hold. */
  handover: {
    request: object({ functions: list(object(functionRef)), epoch: integer(1) }),
    answer: object({ epoch: integer(1) }),
  },
});

export const peerEvents = Object.freeze({
  /** A slot acquired for the receiver is free again. */
  released: object({ address: text(1_024), slot: integer() }),
});
