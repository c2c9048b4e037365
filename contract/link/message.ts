/**
 * Messages: what agent, peer, plan and report links carry in frames. A frame's head is JSON, its stream number pairs an
 * answer with its request. Shapes are checked on arrival, on both sides.
 */
import type { Failure } from "../errors.ts";
import type { Shape, TypeOf } from "../shape.ts";

export const MESSAGE_FRAMES = Object.freeze({ REQUEST: 0x20, ANSWER: 0x21, FAILURE: 0x22, EVENT: 0x23 });

/** Head of REQUEST and EVENT: `{ name, value }`; of ANSWER: the value; of FAILURE: `Failure`. */
export interface Named {
  readonly name: string;
  readonly value: unknown;
}

export interface RequestShapes {
  readonly [name: string]: { readonly request: Shape<unknown>; readonly answer: Shape<unknown> };
}
export interface EventShapes {
  readonly [name: string]: Shape<unknown>;
}

/** What one side may ask and is told: the two tables that define a message link. */
export interface MessageContract<R extends RequestShapes, E extends EventShapes> {
  readonly requests: R;
  readonly events: E;
}

export type RequestOf<R extends RequestShapes, K extends keyof R> = TypeOf<R[K]["request"]>;
export type AnswerOf<R extends RequestShapes, K extends keyof R> = TypeOf<R[K]["answer"]>;
export type EventOf<E extends EventShapes, K extends keyof E> = TypeOf<E[K]>;

export type { Failure };
