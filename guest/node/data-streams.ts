import { type DataDeps, DataStream } from "./data-stream.ts";
import type { Guest } from "./guest.ts";
import type { Connect } from "./listener.ts";
import type { LogQueue } from "./log-queue.ts";

export interface DataStreams {
  accept(connect: Connect): void;
  cancelAll(): void;
  /** Writes what waits, then calls back. */
  flushed(action: () => void): void;
}

/** All gateways' streams. A newer epoch retires those of older ones. */
export function createDataStreams(deps: { guest: Guest; logs: LogQueue }): DataStreams {
  const { guest, logs } = deps;
  const streams = new Set<DataStream>();
  let epoch = -1;
  const shared: DataDeps = {
    guest,
    greet(_stream, offered) {
      if (offered < epoch) return false;
      epoch = offered;
      for (const other of [...streams]) if (other.epoch >= 0 && other.epoch < epoch) other.retire();
      return true;
    },
    closed: (stream) => streams.delete(stream),
  };
  return {
    accept(connect) {
      const stream = new DataStream(shared);
      streams.add(stream);
      stream.connection = connect({
        frame: (frame) => stream.receive(frame),
        chunkEnd: () => stream.chunkEnd(),
        // What was logged before an answer is on its way before the answer.
        beforeFlush: () => logs.flush(),
        closed: () => stream.closed(),
      });
    },
    cancelAll() {
      for (const stream of streams) stream.cancelAll("shutdown");
    },
    flushed(action) {
      let waiting = streams.size;
      if (waiting === 0) action();
      for (const stream of streams)
        stream.connection.flushed(() => {
          waiting--;
          if (waiting === 0) action();
        });
    },
  };
}
