import type { ErrorCode } from "#contract/errors.ts";
import type { Answer } from "../dispatch/answer.ts";
import type { Invocation, InvocationStart } from "../dispatch/invocation.ts";
import type { RevisionDispatch } from "../dispatch/revision-dispatch.ts";

/** What the gateway needs of dispatch. */
export interface Dispatch {
  route(key: string): RevisionDispatch | undefined;
  submit(start: InvocationStart, revision: RevisionDispatch, answer: Answer): Invocation;
  /** The caller is done with it before its answer was; `outcome` says why. */
  leave(invocation: Invocation, outcome: ErrorCode): void;
  taken(invocation: Invocation, bytes: number): void;
}
