/**
 * Answers the sandboxes' questions about names by asking the host's nameservers.
 *
 * Owns: its two listening sockets, the questions in flight and their bounds.
 * Does not own: who may ask what, and what an answer opens: `Admission`.
 *
 * 1. A sender that is no sandbox of ours gets no answer at all.
 * 2. What an answer opens is open before the sandbox sees the answer.
 * 3. Only the question itself goes upstream, written anew, and at most so many at once per sandbox and in all. When
 *    all are taken, the sandbox with the most gives way to one with fewer: its oldest question is answered with a failure.
 * 4. An answer may point anywhere, a private address too (rebinding): the packet filter denies by address, not by name.
 */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { CODE, parseAnswer, parseQuestion, type Question, TYPE, withId, writeReply } from "./dns-message.ts";
import { askUpstream, firstMessage, prefixed, type Transport } from "./dns-upstream.ts";
import { FairShares } from "./fair-shares.ts";
import type { Nameserver } from "./nameservers.ts";

export interface Admission {
  /** Whether the sandbox at this address may know this name. `stranger`: there is no such sandbox. */
  admit(address: string, name: string): "stranger" | "refused" | "admitted";
  /** Lets the sandbox reach what the name was found to be. Rejects when it cannot. */
  open(address: string, name: string, found: readonly string[], ttlSeconds: number): Promise<void>;
}

export interface ForwarderDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly admission: Admission;
  readonly nameservers: () => Promise<readonly Nameserver[]>;
}

const MAXIMUM_QUESTIONS = { perHolder: 64, inAll: 512 };
const MAXIMUM_CONNECTIONS = { perHolder: 16, inAll: 512 };
const MAXIMUM_QUESTION_BYTES = 4_096;
const IDLE_CONNECTION_MS = 10_000;
/** Between warnings about one sandbox. */
const WARNING_MS = 60_000;

export class DnsForwarder {
  readonly #deps: ForwarderDeps;
  readonly #inFlight = new FairShares(MAXIMUM_QUESTIONS);
  readonly #connected = new FairShares(MAXIMUM_CONNECTIONS);
  readonly #connections = new Set<Socket>();
  /** By address, when it was last warned of: a monotonic time. */
  readonly #warned = new Map<string, number>();
  #udp: UdpSocket | undefined;
  #tcp: Server | undefined;

  constructor(deps: ForwarderDeps) {
    this.#deps = deps;
  }

  /** On ports that were free. @throws Error when the address is not the host's. */
  async open(address: string): Promise<{ udpPort: number; tcpPort: number }> {
    const udp = createSocket("udp4");
    this.#udp = udp;
    udp.bind(0, address);
    await once(udp, "listening");
    udp.on("message", (message, from) => void this.#answerDatagram(udp, message, from));
    // Such as a sandbox that went before its answer came.
    udp.on("error", (error) => this.#deps.log.debug("an answer about a name was not sent", { error }));
    const tcp = createServer((socket) => this.#serve(socket));
    this.#tcp = tcp;
    tcp.listen(0, address);
    await once(tcp, "listening");
    return { udpPort: udp.address().port, tcpPort: (tcp.address() as AddressInfo).port };
  }

  async close(): Promise<void> {
    const [udp, tcp] = [this.#udp, this.#tcp];
    this.#udp = undefined;
    this.#tcp = undefined;
    for (const socket of this.#connections) socket.destroy();
    if (udp !== undefined) await new Promise<void>((resolve) => udp.close(() => resolve()));
    if (tcp?.listening) await new Promise<void>((resolve) => tcp.close(() => resolve()));
  }

  async #answerDatagram(udp: UdpSocket, message: Buffer, from: { address: string; port: number }): Promise<void> {
    const answer = await this.#answer(from.address, message, "udp");
    if (answer !== undefined && udp === this.#udp) udp.send(answer, from.port, from.address);
  }

  #serve(socket: Socket): void {
    const address = socket.remoteAddress;
    const leave = address && this.#connected.enter(address, () => socket.destroy());
    if (!leave) return void socket.destroy();
    this.#connections.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#connections.delete(socket);
      leave();
    });
    socket.setTimeout(IDLE_CONNECTION_MS, () => socket.destroy());
    this.#answerStream(socket, address).catch(() => socket.destroy());
  }

  /** One question after the other: what comes meanwhile stays in the kernel's buffers. */
  async #answerStream(socket: Socket, address: string): Promise<void> {
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      for (let message = firstMessage(received); message !== undefined; message = firstMessage(received)) {
        received = received.subarray(2 + message.length);
        const answer = await this.#answer(address, message, "tcp");
        if (answer === undefined || socket.destroyed) return void socket.destroy();
        // Who asks without reading gets no further questions read.
        if (!socket.write(prefixed(answer))) await drained(socket);
      }
      if (received.length > MAXIMUM_QUESTION_BYTES) return void socket.destroy();
    }
  }

  /** Undefined for what deserves none. */
  async #answer(address: string, message: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const question = message.length > MAXIMUM_QUESTION_BYTES ? undefined : parseQuestion(message);
    if (question === undefined) return undefined;
    const verdict = this.#deps.admission.admit(address, question.name);
    if (verdict === "stranger") return undefined;
    if (verdict === "refused") return writeReply(question, CODE.refused);
    // There is no IPv6 in a sandbox: such an address would only cost the caller an attempt.
    if (question.type === TYPE.AAAA) return writeReply(question, CODE.noError);
    const abandoned = new AbortController();
    const leave = this.#inFlight.enter(address, () => abandoned.abort());
    if (leave === undefined) return writeReply(question, CODE.serverFailure);
    try {
      return (
        (await this.#ask(address, question, transport, abandoned.signal)) ?? writeReply(question, CODE.serverFailure)
      );
    } catch (error) {
      this.#warn(address, question.name, error);
      return writeReply(question, CODE.serverFailure);
    } finally {
      leave();
    }
  }

  /** Any sandbox can bring it about, with every question. */
  #warn(address: string, name: string, error: unknown): void {
    const now = this.#deps.clock.monotonic();
    for (const [warned, at] of this.#warned) if (now - at >= WARNING_MS) this.#warned.delete(warned);
    if (this.#warned.has(address)) return;
    this.#warned.set(address, now);
    const reason = error instanceof Error ? error.message : String(error);
    this.#deps.log.warn("a name was not resolved for a sandbox", { address, name, reason });
  }

  async #ask(address: string, question: Question, transport: Transport, abandoned: AbortSignal) {
    const message = await askUpstream(this.#deps, await this.#deps.nameservers(), question, transport, abandoned);
    const answer = message && parseAnswer(message, question);
    if (message === undefined || answer === undefined) return undefined;
    if (answer.addresses.length > 0) {
      await this.#deps.admission.open(address, question.name, answer.addresses, answer.ttlSeconds);
    }
    return withId(message, question.id);
  }
}

/** Resolves also when the socket goes first. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      socket.off("drain", end).off("close", end);
      resolve();
    };
    socket.on("drain", end).on("close", end);
  });
}
