import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { decodePreamble, encodeFrame, encodePreamble, type Frame, FrameReader, type LinkKind } from "../link/frame.ts";
import { parseJson, type Shape } from "../shape.ts";
import * as link from "./link.ts";

interface Vector {
  readonly name: string;
  readonly hex: string;
  /** The shape of the head, by its name in link.ts; "" where there is no head. */
  readonly message?: string;
  readonly preamble?: { readonly kind: LinkKind; readonly version: number };
  readonly frame?: { type: number; flags: number; stream: number; head: string; body: string };
  /** What of it is wrong, and a part of the error that says so. */
  readonly invalid?: "preamble" | "frame" | "head";
  readonly error?: string;
}

const vectors: readonly Vector[] = JSON.parse(readFileSync(new URL("./vectors.json", import.meta.url), "utf8"));

function decode(hex: string): Frame[] {
  const frames: Frame[] = [];
  new FrameReader((frame) => frames.push(frame)).push(Buffer.from(hex, "hex"));
  return frames;
}

function shapeOf(message: string): Shape<unknown> {
  const shape = (link as Record<string, unknown>)[message];
  assert.ok(shape, `${message} is not a shape of the guest link`);
  return shape as Shape<unknown>;
}

test("each vector of a preamble decodes and encodes to the same bytes", () => {
  for (const { name, hex, preamble } of vectors.filter((vector) => vector.preamble)) {
    assert.deepEqual(decodePreamble(Buffer.from(hex, "hex")), preamble, name);
    assert.equal(encodePreamble(preamble!.kind, preamble!.version).toString("hex"), hex, name);
  }
});

test("each vector of a frame decodes and encodes to the same bytes, and its head has its shape", () => {
  for (const { name, hex, frame, message } of vectors.filter((vector) => vector.frame)) {
    const [found, ...more] = decode(hex);
    assert.equal(more.length, 0, name);
    const { type, flags, stream, head } = found!;
    assert.deepEqual({ type, flags, stream, head, body: found!.body.toString("hex") }, frame, name);
    assert.equal(encodeFrame(type, flags, stream, head, Buffer.from(frame!.body, "hex")).toString("hex"), hex, name);
    if (message === "") assert.equal(head, "", name);
    else parseJson(shapeOf(message!), head, name);
  }
});

test("each invalid vector is refused with the error it names", () => {
  const invalid = vectors.filter((vector) => vector.invalid);
  assert.ok(invalid.length > 10);
  for (const { name, hex, invalid: part, message, error } of invalid)
    assert.throws(
      () => {
        if (part === "preamble") decodePreamble(Buffer.from(hex, "hex"));
        else for (const frame of decode(hex)) parseJson(shapeOf(message!), frame.head, name);
      },
      (thrown: Error) => thrown.message.includes(error!),
      name,
    );
});

test("there is a vector for every type of frame", () => {
  const types = new Set(vectors.map((vector) => vector.frame?.type));
  for (const [name, type] of Object.entries(link.GUEST_FRAMES)) assert.ok(types.has(type), `${name} has no vector`);
});
