import type { Link } from "#base/link/link.ts";
import {
  type DataWelcome,
  dataHello,
  GUEST_FRAMES,
  type GuestEnd,
  type GuestInvoke,
  guestCancel,
  guestInvoke,
  guestWindow,
  INITIAL_WINDOW,
  MAXIMUM_CHUNK,
  type MisroutedReason,
} from "#contract/guest/link.ts";
import { FLAG_FIN, FLAG_LAST, type Frame } from "#contract/link/frame.ts";
import { revisionKey } from "#contract/names.ts";
import { parseJson } from "#contract/shape.ts";
import { draw, drawInteger, drawOutcome, type SimulatedOutcome } from "./behaviour.ts";
import type { SimulatedGuest } from "./guest.ts";

interface Running {
  readonly invoke: GuestInvoke;
  readonly stream: number;
  readonly body: Buffer[];
  received: boolean;
  /** Bytes that may still be sent, and what waits for more. */
  credit: number;
  answer: Buffer | undefined;
  headSent: boolean;
  cancelled: boolean;
  outcome: SimulatedOutcome | undefined;
}

/** One data stream of a simulated guest: the invocations on it, with the flow control of the contract. */
export class SimulatedDataStream {
  readonly link: Link;
  readonly #guest: SimulatedGuest;
  readonly #running = new Map<number, Running>();
  epoch: number | undefined;

  constructor(guest: SimulatedGuest, link: Link) {
    this.#guest = guest;
    this.link = link;
  }

  frame(frame: Frame): void {
    if (this.epoch === undefined) {
      if (frame.type !== GUEST_FRAMES.HELLO) throw new Error(`HELLO comes first, not frame type ${frame.type}`);
      return this.#hello(frame);
    }
    const running = this.#running.get(frame.stream);
    switch (frame.type) {
      case GUEST_FRAMES.INVOKE:
        return this.#invoke(frame);
      case GUEST_FRAMES.DATA:
        return running === undefined ? undefined : this.#receive(running, frame);
      case GUEST_FRAMES.WINDOW:
        if (running === undefined) return;
        running.credit += parseJson(guestWindow, frame.head, "WINDOW").credit;
        return this.#pump(running);
      case GUEST_FRAMES.CANCEL:
        parseJson(guestCancel, frame.head, "CANCEL");
        return running === undefined ? undefined : this.#cancel(running);
      default:
        throw new Error(`a guest is not sent frames of type ${frame.type} on a data stream`);
    }
  }

  /** Invocations whose stream is gone run to their end unheard. */
  closed(): void {
    for (const running of [...this.#running.values()]) {
      if (running.outcome !== "ignore") this.#over(running);
    }
  }

  #hello(frame: Frame): void {
    const { epoch } = parseJson(dataHello, frame.head, "HELLO");
    if (!this.#guest.admitEpoch(epoch)) {
      this.#misroute(0, "epoch");
      this.link.close();
      return;
    }
    this.epoch = epoch;
    const { state, slots, bound } = this.#guest;
    const welcome: DataWelcome = bound === undefined ? { state, slots } : { state, slots, bound };
    this.link.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify(welcome), null);
  }

  #invoke(frame: Frame): void {
    const invoke = parseJson(guestInvoke, frame.head, "INVOKE");
    const refused = this.#refusal(invoke);
    if (refused !== undefined) return this.#misroute(frame.stream, refused);
    const { random } = this.#guest.deps;
    const behaviour = this.#guest.behaviour!;
    const running: Running = {
      ...{ invoke, stream: frame.stream, body: [], received: false, credit: INITIAL_WINDOW },
      ...{ answer: undefined, headSent: false, cancelled: false, outcome: undefined },
    };
    this.#running.set(frame.stream, running);
    this.#guest.count(1, invoke.id);
    this.link.send(GUEST_FRAMES.ACCEPTED, 0, frame.stream, "", null);
    this.#log(running, drawInteger(random, behaviour.logs));
    this.#receive(running, frame);
    this.#guest.after(draw(random, behaviour.durationMs), () => {
      running.outcome = drawOutcome(random, behaviour.outcomes);
      this.#proceed(running);
    });
  }

  #refusal(invoke: GuestInvoke): MisroutedReason | undefined {
    const { state, bound, active, slots } = this.#guest;
    if (state === "draining") return "draining";
    if (state !== "ready" || bound === undefined) return "unbound";
    if (revisionKey(bound) !== revisionKey(invoke)) return "other-revision";
    return active >= slots ? "full" : undefined;
  }

  #receive(running: Running, frame: Frame): void {
    if (frame.bodyBytes > 0) {
      running.body.push(Buffer.from(frame.body));
      this.link.send(GUEST_FRAMES.WINDOW, 0, running.stream, JSON.stringify({ credit: frame.bodyBytes }), null);
    }
    if (frame.fin) running.received = true;
    this.#proceed(running);
  }

  /** Once its time is over and its body is there. */
  #proceed(running: Running): void {
    if (running.outcome === undefined || !running.received || !this.#running.has(running.stream)) return;
    switch (running.outcome) {
      case "ok":
        return this.#answer(running);
      case "error":
        return this.#end(running, {
          outcome: "error",
          code: "function-error",
          error: { name: "Error", message: "simulated error" },
        });
      case "ignore":
        return;
      case "hang":
        return this.#guest.hang();
      case "garbage":
        return this.#guest.sendGarbage();
      case "exit":
        return void this.#guest.die({ cause: "exited", detail: "exited with code 3" });
      case "out-of-memory":
        return void this.#guest.die({ cause: "out-of-memory", detail: "out of memory at 128 MiB" });
    }
  }

  #answer(running: Running): void {
    if (running.answer !== undefined) return;
    const { answer } = this.#guest.behaviour!;
    running.answer =
      answer === "echo"
        ? Buffer.concat(running.body)
        : Buffer.alloc(drawInteger(this.#guest.deps.random, answer), 0x61);
    this.#pump(running);
  }

  /** Sends as much of the answer as there is credit for. */
  #pump(running: Running): void {
    if (running.answer === undefined) return;
    while (this.#running.has(running.stream)) {
      const chunk = running.answer.subarray(0, Math.min(MAXIMUM_CHUNK, running.credit));
      if (chunk.length === 0 && running.answer.length > 0) return;
      running.answer = running.answer.subarray(chunk.length);
      running.credit -= chunk.length;
      const done = running.answer.length === 0;
      const head = running.headSent ? "" : JSON.stringify({ status: 200, headers: ["content-type", "text/plain"] });
      const type = running.headSent ? GUEST_FRAMES.DATA : GUEST_FRAMES.HEAD;
      running.headSent = true;
      this.link.send(type, done ? FLAG_FIN | FLAG_LAST : 0, running.stream, head, chunk);
      if (done) this.#over(running);
    }
  }

  #cancel(running: Running): void {
    if (running.outcome === "ignore") return;
    this.#end(running, { outcome: "cancelled" });
  }

  #end(running: Running, end: GuestEnd): void {
    this.link.send(GUEST_FRAMES.END, FLAG_FIN | FLAG_LAST, running.stream, JSON.stringify(end), null);
    this.#over(running);
  }

  #over(running: Running): void {
    if (this.#running.delete(running.stream)) this.#guest.count(-1, running.invoke.id);
  }

  #misroute(stream: number, reason: MisroutedReason): void {
    this.link.send(GUEST_FRAMES.MISROUTED, 0, stream, JSON.stringify({ reason }), null);
  }

  #log(running: Running, count: number): void {
    const atMs = this.#guest.deps.clock.now();
    const entry = { atMs, stream: "stdout", level: "info", invocation: running.invoke.id } as const;
    this.#guest.log(Array.from({ length: count }, (_, index) => ({ ...entry, text: `line ${index + 1}` })));
  }
}
