import type { Link, Network } from "#base/link/link.ts";
import { GUEST_FRAMES, type GuestLoad } from "#contract/guest/link.ts";
import type { Frame } from "#contract/link/frame.ts";
import { FLAG_FIN } from "#contract/link/frame.ts";

const REVISION = { tenant: "default", app: "suite", function: "guest", revision: "r1" } as const;
const ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

export type Answer = { readonly kind: "answer"; readonly text: string } | { readonly kind: "cut" };

/**
 * What agent and gateway do with a guest, as little of it as the suite needs: one control stream, one data stream, one
 * invocation at a time.
 */
export class GuestSession {
  readonly #network: Network;
  readonly #address: string;
  #control: Link | undefined;
  #data: Link | undefined;
  #heard: Frame[] = [];
  #waiting: { type: number; resolve: (head: string) => void }[] = [];
  #sequence = 0;

  constructor(network: Network, address: string) {
    this.#network = network;
    this.#address = address;
  }

  /** The state that the guest says it is in. */
  async greet(): Promise<string> {
    this.#control = await this.#network.dial(this.#address, "control", {
      frame: (frame) => this.#hear(frame),
      close() {},
    });
    return JSON.parse(await this.#next(GUEST_FRAMES.HELLO)).state;
  }

  /** Until ready. `code` follows where the driver delivers bytes. */
  async load(code: GuestLoad["code"], read: () => AsyncIterable<Uint8Array>, handler: string, memoryMiB: number) {
    const link = this.#control!;
    const settings = { environment: {}, concurrency: 1, execution: "loop", memoryMiB, timeoutMs: 60_000 } as const;
    link.send(GUEST_FRAMES.LOAD, 0, 0, JSON.stringify({ ...REVISION, code, handler, ...settings }), null);
    if (code.kind === "bytes") {
      for await (const piece of read()) link.send(GUEST_FRAMES.CODE, 0, 0, "", piece);
      link.send(GUEST_FRAMES.CODE, FLAG_FIN, 0, "", null);
    }
    await this.#next(GUEST_FRAMES.LOADED);
    link.send(GUEST_FRAMES.INIT, 0, 0, JSON.stringify({ timeoutMs: 10_000 }), null);
    await this.#next(GUEST_FRAMES.READY);
  }

  async invoke(body: string): Promise<Answer> {
    const answer = Promise.withResolvers<Answer>();
    let text = "";
    this.#data = await this.#network.dial(this.#address, "data", {
      frame(frame) {
        if (frame.type === GUEST_FRAMES.HEAD || frame.type === GUEST_FRAMES.DATA) text += frame.body.toString();
        if (frame.type === GUEST_FRAMES.END || frame.type === GUEST_FRAMES.MISROUTED) text += frame.head;
        if (frame.last || frame.type === GUEST_FRAMES.MISROUTED) answer.resolve({ kind: "answer", text });
      },
      close: () => answer.resolve({ kind: "cut" }),
    });
    this.#data.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify({ owner: "suite", epoch: 1 }), null);
    const invoke = { id: ID, ...REVISION, budgetMs: 60_000, contentType: "text/plain" };
    this.#data.send(GUEST_FRAMES.INVOKE, FLAG_FIN, 1, JSON.stringify(invoke), Buffer.from(body));
    return answer.promise.finally(() => this.#data?.close());
  }

  ping(): Promise<void> {
    this.#control?.send(GUEST_FRAMES.PING, 0, 0, JSON.stringify({ sequence: ++this.#sequence }), null);
    return this.#next(GUEST_FRAMES.PONG).then(() => {});
  }

  close(): void {
    this.#control?.close();
    this.#data?.close();
  }

  #hear(frame: Frame): void {
    const index = this.#waiting.findIndex(({ type }) => type === frame.type);
    if (index >= 0) this.#waiting.splice(index, 1)[0]!.resolve(frame.head);
    else this.#heard.push(frame);
  }

  #next(type: number): Promise<string> {
    const index = this.#heard.findIndex((frame) => frame.type === type);
    if (index >= 0) return Promise.resolve(this.#heard.splice(index, 1)[0]!.head);
    return new Promise((resolve) => this.#waiting.push({ type, resolve }));
  }
}
