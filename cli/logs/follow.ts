import type { LogLine } from "#sdk/node/client.ts";
import type { Client, LogQuery } from "../client/client.ts";
import { mayComeBack, Waits } from "../reconnect.ts";
import type { FunctionName } from "../target.ts";

export interface FollowOptions {
  readonly query: LogQuery;
  readonly signal: AbortSignal;
  /** The connection was lost, or is there again. */
  changed(connected: boolean): void;
}

/**
 * Log lines without end. When the stream is cut (control restarts) it is taken up again from the time of the last line; lines of
 * that very time that have been given are left out. Throws when the first connection fails, or trying again can't help.
 */
export async function* followLogs(
  client: Client,
  name: FunctionName,
  { query, signal, changed }: FollowOptions,
): AsyncGenerator<LogLine, void, void> {
  const given = new GivenLines();
  const waits = new Waits();
  let state = "never" as "never" | "connected" | "lost";
  const connected = (): void => {
    if (state === "lost") changed(true);
    state = "connected";
    waits.reset();
  };
  for (;;) {
    try {
      given.restart();
      for await (const line of client.logs(name, given.continue(query), connected)) if (given.isNew(line)) yield line;
    } catch (error) {
      signal.throwIfAborted();
      if (state === "never" || !mayComeBack(error)) throw error;
    }
    if (state === "connected") changed(false);
    state = "lost";
    await waits.wait(signal);
  }
}

/** What has been given of the last time: times have milliseconds, and a function may log many lines in one. */
class GivenLines {
  #last: string | undefined;
  #ofLast: string[] = [];
  #expected: string[] = [];

  restart(): void {
    this.#expected = [...this.#ofLast];
  }

  continue(query: LogQuery): LogQuery {
    if (this.#last === undefined) return query;
    const { tail: _tail, ...rest } = query;
    return { ...rest, since: this.#last };
  }

  isNew(line: LogLine): boolean {
    const text = JSON.stringify(line);
    if (this.#last !== undefined && line.at < this.#last && this.#expected.length > 0) return false;
    const again = line.at === this.#last ? this.#expected.indexOf(text) : -1;
    if (again !== -1) {
      this.#expected.splice(again, 1);
      return false;
    }
    if (this.#last === undefined || line.at > this.#last) {
      this.#last = line.at;
      this.#ofLast = [];
      this.#expected = [];
    }
    if (line.at === this.#last) this.#ofLast.push(text);
    return true;
  }
}
