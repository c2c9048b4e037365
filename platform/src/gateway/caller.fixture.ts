/** Callers of a gateway under test: one that speaks HTTP as a library does, and one that sends the bytes it is told to. */
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect, type Socket } from "node:net";
import { until, within } from "./stage.fixture.ts";

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly agent?: Agent;
}

/** One request on a connection of its own; rejects when the answer is broken off. */
export function call(url: string, options: CallOptions = {}): Promise<Answered> {
  const { method = "GET", headers = {}, body, agent = new Agent() } = options;
  const answered = new Promise<Answered>((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        if (!response.complete) return reject(new Error("the answer was broken off"));
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        });
      });
    });
    sent.on("error", reject).end(body);
  });
  const outcome = within(`an answer of ${url}`, answered);
  // A test may look at it later, or fail before it does.
  outcome.catch(() => {});
  return outcome;
}

/** A connection on which a test writes and reads bytes. */
export class RawCaller {
  readonly socket: Socket;
  #text = "";
  closed = false;
  ended = false;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    this.socket.setEncoding("latin1");
    this.socket.on("data", (chunk) => {
      this.#text += chunk;
    });
    this.socket.on("end", () => {
      this.ended = true;
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
    });
  }

  /** Everything that came so far. */
  get text(): string {
    return this.#text;
  }

  send(bytes: string): this {
    if (!this.socket.destroyed) this.socket.write(bytes, "latin1");
    return this;
  }

  async has(text: string): Promise<void> {
    await until(`${JSON.stringify(text)} in ${JSON.stringify(this.#text.slice(0, 300))}`, () =>
      this.#text.includes(text),
    );
  }

  /** Until the gateway has closed its side. */
  async over(): Promise<string> {
    await until("the connection's end", () => this.ended || this.closed);
    this.socket.destroy();
    return this.#text;
  }

  leave(): void {
    this.socket.destroy();
  }
}

/** One exchange of bytes on a connection that the gateway ends. */
export async function exchangeRaw(port: number, bytes: string): Promise<string> {
  return await new RawCaller(port).send(bytes).over();
}
