import { rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import {
  decodePreamble,
  encodePreamble,
  type LinkKind,
  PREAMBLE_BYTES,
  PROTOCOL_VERSION,
} from "#contract/link/frame.ts";
import { Connection, type ConnectionHandlers } from "./connection.ts";

const PREAMBLE_MS = 5_000;

/** What becomes of a connection of each kind the guest serves. */
export type Accept = Readonly<Partial<Record<LinkKind, (connect: Connect) => void>>>;
/** Makes the connection, once its handlers are there. */
export type Connect = (handlers: ConnectionHandlers) => Connection;

/** Listens on a Unix socket; a connection whose preamble is not one that is served is closed. */
export function listen(path: string, accept: Accept): void {
  rmSync(path, { force: true });
  createServer((socket) => greet(socket, accept)).listen({ path, backlog: 128 });
}

function greet(socket: Socket, accept: Accept): void {
  let received: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), PREAMBLE_MS).unref();
  const refuse = () => socket.destroy();
  const read = (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    if (received.length < PREAMBLE_BYTES) return;
    socket.off("data", read).off("error", refuse);
    clearTimeout(timer);
    open(socket, received, accept);
  };
  socket.on("data", read);
  socket.on("error", refuse);
  socket.once("close", () => clearTimeout(timer));
}

function open(socket: Socket, received: Buffer, accept: Accept): void {
  const serve = kindServed(received, accept);
  if (serve === undefined) {
    socket.on("error", () => {}).destroy();
    return;
  }
  socket.write(encodePreamble(serve.kind));
  serve.accept((handlers) => {
    const connection = new Connection(socket, handlers);
    const rest = received.subarray(PREAMBLE_BYTES);
    if (rest.length > 0) queueMicrotask(() => connection.receive(rest));
    return connection;
  });
}

function kindServed(
  received: Buffer,
  accept: Accept,
): { kind: LinkKind; accept: (connect: Connect) => void } | undefined {
  try {
    const { kind, version } = decodePreamble(received);
    const serve = accept[kind];
    return serve === undefined || version < PROTOCOL_VERSION ? undefined : { kind, accept: serve };
  } catch {
    return undefined;
  }
}
