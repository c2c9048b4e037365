/**
 * Vectors of a message link: the bytes of each message it knows, and values that must be refused. Kept as JSON beside the
 * contract, so that an implementation in another language can be held to them too.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse, ShapeError } from "../shape.ts";
import { encodeFrame, type Frame, FrameReader } from "./frame.ts";
import { type EventShapes, MESSAGE_FRAMES, type RequestShapes } from "./message.ts";

type Kind = "request" | "answer" | "event";

export interface MessageVectors {
  readonly valid: readonly {
    readonly kind: Kind;
    readonly name: string;
    readonly stream: number;
    readonly value: unknown;
    /** The whole frame. */
    readonly hex: string;
  }[];
  readonly invalid: readonly {
    readonly kind: Kind;
    readonly name: string;
    readonly value: unknown;
    /** What the reader says: where, what was expected, what came. */
    readonly problem: string;
  }[];
}

const TYPES = { request: MESSAGE_FRAMES.REQUEST, answer: MESSAGE_FRAMES.ANSWER, event: MESSAGE_FRAMES.EVENT };

export function readVectors(file: URL): MessageVectors {
  return JSON.parse(readFileSync(file, "utf8")) as MessageVectors;
}

/** The frame of each valid vector is what its value encodes to, and reads back as that value; none of the tables is untested. */
export function holdToVectors(vectors: MessageVectors, requests: RequestShapes, events: EventShapes): void {
  const shapeOf = (kind: Kind, name: string) => (kind === "event" ? events[name] : requests[name]?.[kind]);
  const untold = new Set([
    ...Object.keys(requests).flatMap((name) => [`request ${name}`, `answer ${name}`]),
    ...Object.keys(events).map((name) => `event ${name}`),
  ]);
  for (const { kind, name, stream, value, hex } of vectors.valid) {
    const shape = shapeOf(kind, name);
    assert.ok(shape, `${kind} ${name} is not in the contract`);
    untold.delete(`${kind} ${name}`);
    const head = JSON.stringify(kind === "answer" ? value : { name, value });
    assert.equal(encodeFrame(TYPES[kind], 0, stream, head, null).toString("hex"), hex, `${kind} ${name}`);
    const frame = decode(Buffer.from(hex, "hex"));
    assert.deepEqual([frame.type, frame.stream, frame.flags, frame.bodyBytes], [TYPES[kind], stream, 0, 0]);
    const read = JSON.parse(frame.head);
    assert.deepEqual(parse(shape, kind === "answer" ? read : read.value, name), value);
  }
  assert.deepEqual([...untold], [], "messages without a vector");
  for (const { kind, name, value, problem } of vectors.invalid) {
    const shape = shapeOf(kind, name);
    assert.ok(shape, `${kind} ${name} is not in the contract`);
    assert.throws(() => parse(shape, value, name), new ShapeError(problem));
  }
}

function decode(bytes: Buffer): Frame {
  const frames: Frame[] = [];
  new FrameReader((frame) => frames.push(frame)).push(bytes);
  assert.equal(frames.length, 1);
  return frames[0]!;
}
