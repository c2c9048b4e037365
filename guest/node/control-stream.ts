import { GUEST_FRAMES, type GuestHello, guestDrain, guestInit, guestLoad, guestPing } from "#contract/guest/link.ts";
import { type Frame, FrameError } from "#contract/link/frame.ts";
import { parseJson, type Shape } from "#contract/shape.ts";
import type { Connection } from "./connection.ts";
import type { Guest } from "./guest.ts";
import type { Connect } from "./listener.ts";
import type { LogQueue } from "./log-queue.ts";

export interface Control {
  /** The agent dialed: its newest stream is the one that counts. */
  accept(connect: Connect): void;
  /** Writes what waits, then calls back. */
  flushed(action: () => void): void;
}

export function createControl(deps: { guest: Guest; logs: LogQueue }): Control {
  const { guest, logs } = deps;
  let current: Connection | undefined;
  return {
    accept(connect) {
      const connection = connect({
        frame: (frame) => receive(guest, connection, frame),
        drained: () => logs.flush(),
        closed() {
          if (current === connection) current = undefined;
          if (current === undefined) guest.codeLost();
        },
      });
      const replaced = current;
      current = connection;
      guest.attach(connection);
      connection.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify(hello(guest)), null);
      logs.attach(connection);
      if (replaced === undefined) return;
      guest.codeLost();
      replaced.close();
    },
    flushed(action) {
      if (current === undefined) action();
      else current.flushed(action);
    },
  };
}

function hello(guest: Guest): GuestHello {
  return {
    runtime: "nodejs",
    runtimeVersion: process.versions.node,
    pid: process.pid,
    state: guest.state,
    bound: guest.bound,
    delivers: ["mount", "bytes"],
  };
}

function receive(guest: Guest, connection: Connection, frame: Frame): void {
  if (frame.stream !== 0) throw new FrameError(`a control frame on stream ${frame.stream}`);
  switch (frame.type) {
    case GUEST_FRAMES.LOAD:
      guest.load(read(guestLoad, frame, "LOAD"));
      break;
    case GUEST_FRAMES.CODE:
      guest.code(frame.body, frame.fin);
      break;
    case GUEST_FRAMES.INIT:
      guest.init(read(guestInit, frame, "INIT").timeoutMs);
      break;
    case GUEST_FRAMES.PING: {
      const { sequence } = read(guestPing, frame, "PING");
      connection.send(GUEST_FRAMES.PONG, 0, 0, JSON.stringify({ sequence, active: guest.active }), null);
      break;
    }
    case GUEST_FRAMES.DRAIN:
      guest.drain(read(guestDrain, frame, "DRAIN").graceMs);
      break;
    default:
      throw new FrameError(`a frame of type ${frame.type} on a control stream`);
  }
}

function read<T>(shape: Shape<T>, frame: Frame, name: string): T {
  return parseJson(shape, frame.head, name);
}
