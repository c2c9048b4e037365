import { connect, type Socket } from "node:net";
import { decodePreamble, encodePreamble, FrameError, type LinkKind, PREAMBLE_BYTES } from "#contract/link/frame.ts";
import { Connection, type ConnectionHandlers } from "./connection.ts";

/** Between two looks at whether somebody listens. */
const AGAIN_MS = 2;

/** Connects to another guest's socket as soon as it listens. Rejects when `signal` is aborted before. */
export async function dial(
  path: string,
  kind: LinkKind,
  handlers: ConnectionHandlers,
  signal: AbortSignal,
): Promise<Connection> {
  for (;;) {
    signal.throwIfAborted();
    const socket = await tryConnect(path);
    if (socket !== undefined) return greet(socket, kind, handlers);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

function tryConnect(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}

function greet(socket: Socket, kind: LinkKind, handlers: ConnectionHandlers): Promise<Connection> {
  socket.write(encodePreamble(kind));
  let received: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const lost = () => reject(new FrameError("the connection was closed before its preamble"));
    const read = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < PREAMBLE_BYTES) return;
      socket.off("data", read).off("close", lost);
      try {
        decodePreamble(received);
      } catch (error) {
        socket.destroy();
        reject(error);
        return;
      }
      const connection = new Connection(socket, handlers);
      resolve(connection);
      const rest = received.subarray(PREAMBLE_BYTES);
      if (rest.length > 0) queueMicrotask(() => connection.receive(rest));
    };
    socket.on("data", read);
    socket.once("close", lost);
  });
}
