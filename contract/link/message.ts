/**
 * Messages: what agent, spawner, peer, plan and report links carry in frames. A frame's head is JSON, its stream number pairs an
 * answer with its request. Shapes are checked on arrival, on both sides.
 */
import type { Shape, TypeOf } from "../shape.ts";

/** Head of REQUEST and EVENT: `{ name, value }`; of ANSWER: the value; of FAILURE: a `Failure` (errors.ts). */
export const MESSAGE_FRAMES = Object.freeze({ REQUEST: 0x20, ANSWER: 0x21, FAILURE: 0x22, EVENT: 0x23 });

export interface RequestShapes {
  readonly [name: string]: { readonly request: Shape<unknown>; readonly answer: Shape<unknown> };
}
export interface EventShapes {
  readonly [name: string]: Shape<unknown>;
}

export type RequestOf<R extends RequestShapes, K extends keyof R> = TypeOf<R[K]["request"]>;
export type AnswerOf<R extends RequestShapes, K extends keyof R> = TypeOf<R[K]["answer"]>;
export type EventOf<E extends EventShapes, K extends keyof E> = TypeOf<E[K]>;
