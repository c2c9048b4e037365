import type { BodySource } from "./answer.ts";
import type { DataStream } from "./data-stream.ts";
import type { Invocation } from "./invocation.ts";

const EMPTY = Buffer.alloc(0);

/** Sends a body in pieces, as fast as the guest gives window. Holds no more than one chunk of the source. */
export function streamBody(invocation: Invocation, stream: DataStream, maximumChunk: number): void {
  if (Buffer.isBuffer(invocation.body)) sendBuffer(invocation, stream, invocation.body, maximumChunk);
  else sendSource(invocation, stream, invocation.body!, maximumChunk);
}

function sendBuffer(invocation: Invocation, stream: DataStream, body: Buffer, maximumChunk: number): void {
  let offset = 0;
  const send = () => {
    while (offset < body.length && invocation.sendWindow > 0) {
      const length = Math.min(maximumChunk, invocation.sendWindow, body.length - offset);
      stream.data(invocation, body.subarray(offset, offset + length), offset + length === body.length);
      offset += length;
    }
    if (offset === body.length) invocation.resumeBody = null;
  };
  invocation.resumeBody = send;
  send();
}

function sendSource(invocation: Invocation, stream: DataStream, source: BodySource, maximumChunk: number): void {
  let rest: Buffer = EMPTY;
  let ended = false;
  const send = () => {
    while (rest.length > 0 && invocation.sendWindow > 0) {
      const length = Math.min(maximumChunk, invocation.sendWindow, rest.length);
      stream.data(invocation, rest.subarray(0, length), false);
      rest = rest.subarray(length);
    }
    if (rest.length > 0) return source.pause();
    if (ended) {
      if (!invocation.bodySent) stream.data(invocation, EMPTY, true);
      invocation.resumeBody = null;
    } else source.resume();
  };
  invocation.resumeBody = send;
  source.start({
    chunk(bytes) {
      if (invocation.phase === "over") return;
      invocation.bodyBytes += bytes.length;
      rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
      send();
    },
    end() {
      ended = true;
      if (invocation.phase !== "over") send();
    },
  });
}
