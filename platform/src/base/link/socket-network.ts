import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import {
  decodePreamble,
  encodePreamble,
  type LinkKind,
  PREAMBLE_BYTES,
  PROTOCOL_VERSION,
} from "#contract/link/frame.ts";
import { type Clock, createSystemClock } from "../clock.ts";
import type { Link, LinkHandlers, Listener, Network } from "./link.ts";
import { SocketLink } from "./socket-link.ts";
import { openSocketPath, prepareSocketFolder } from "./socket-path.ts";

const HANDSHAKE_MS = 5_000;

export interface SocketNetworkOptions {
  /** For who is dialled to greet. Default HANDSHAKE_MS; longer where a debugger may hold it. */
  readonly greetingMs?: number;
  /** Of the greetings. Default: the system's. */
  readonly clock?: Clock;
}

/** Links over Unix sockets. An address is the socket's path. */
export function createSocketNetwork(options: SocketNetworkOptions = {}): Network {
  const { clock = createSystemClock(), greetingMs = HANDSHAKE_MS } = options;
  const patience = { clock, withinMs: greetingMs };
  return {
    dial: (address, kind, handlers) => dial(address, kind, handlers, patience),
    listen: (address, kinds, accept) => listen(address, kinds, accept, { clock, withinMs: HANDSHAKE_MS }),
  };
}

/** With whoever is at the other end. */
interface Patience {
  readonly clock: Clock;
  readonly withinMs: number;
}

async function dial(address: string, kind: LinkKind, handlers: LinkHandlers, patience: Patience): Promise<Link> {
  const path = openSocketPath(address);
  const socket = connect({ path: path.path });
  try {
    socket.write(encodePreamble(kind));
    const { rest } = await readPreamble(socket, [kind], patience);
    return new SocketLink(socket, handlers, rest);
  } catch (error) {
    socket.destroy();
    throw new Error(`no link to ${address}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    path.release();
  }
}

async function listen(
  address: string,
  kinds: readonly LinkKind[],
  accept: (link: Link, kind: LinkKind) => LinkHandlers,
  patience: Patience,
): Promise<Listener> {
  prepareSocketFolder(address);
  const path = openSocketPath(address);
  rmSync(path.path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    greet(socket, kinds, accept, patience).catch(() => socket.destroy());
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ path: path.path }, resolve);
    });
  } catch (error) {
    path.release();
    throw error;
  }
  return {
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      path.release();
    },
  };
}

async function greet(
  socket: Socket,
  kinds: readonly LinkKind[],
  accept: (link: Link, kind: LinkKind) => LinkHandlers,
  patience: Patience,
): Promise<void> {
  const { kind, rest } = await readPreamble(socket, kinds, patience);
  socket.write(encodePreamble(kind));
  // The link needs handlers and the handlers need the link: frames can't arrive before this turn ends.
  let handlers: LinkHandlers | undefined;
  const link = new SocketLink(
    socket,
    { frame: (frame) => handlers?.frame(frame), close: (error) => handlers?.close(error) },
    rest,
  );
  handlers = accept(link, kind);
}

/** Reads exactly the preamble; what came behind it is `rest`. The socket is left paused. */
function readPreamble(
  socket: Socket,
  kinds: readonly LinkKind[],
  { clock, withinMs }: Patience,
): Promise<{ kind: LinkKind; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const stop = () => {
      clock.cancel(timer);
      socket
        .off("data", receive)
        .off("error", fail)
        .off("close", closed)
        .on("error", () => {});
    };
    const fail = (error: unknown) => {
      stop();
      reject(error);
    };
    const closed = () => fail(new Error("closed before the preamble"));
    const receive = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < PREAMBLE_BYTES) return;
      socket.pause();
      stop();
      try {
        resolve({ kind: checkPreamble(received, kinds), rest: received.subarray(PREAMBLE_BYTES) });
      } catch (error) {
        reject(error);
      }
    };
    const timer = clock.after(withinMs, () => fail(new Error(`no preamble within ${withinMs} ms`)));
    socket.on("data", receive).once("error", fail).once("close", closed);
  });
}

function checkPreamble(bytes: Buffer, kinds: readonly LinkKind[]): LinkKind {
  const { kind, version } = decodePreamble(bytes);
  if (!kinds.includes(kind)) throw new Error(`a ${kind} link is not served here`);
  if (version < PROTOCOL_VERSION) throw new Error(`protocol version ${version} is not spoken here`);
  return kind;
}
