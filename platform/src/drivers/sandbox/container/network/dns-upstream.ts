/**
 * One question to one nameserver of the host's. A socket of its own for every question, connected: the kernel picks its port at
 * random and takes answers from the nameserver alone; the id is random too.
 */
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Clock } from "#base/clock.ts";
import type { Random } from "#base/random.ts";
import { answers, type Question, writeQuery } from "./dns-message.ts";
import type { Nameserver } from "./nameservers.ts";

export type Transport = "udp" | "tcp";

export interface UpstreamDeps {
  readonly clock: Clock;
  readonly random: Random;
}

/** Of one attempt. */
interface Patience {
  readonly clock: Clock;
  readonly abandoned: AbortSignal;
}

const TIMEOUT_MS = 2_000;

/** The first answer of a nameserver, asked in order; undefined when none of them answers, or the question is abandoned. */
export async function askUpstream(
  deps: UpstreamDeps,
  nameservers: readonly Nameserver[],
  question: Question,
  transport: Transport,
  abandoned: AbortSignal,
): Promise<Buffer | undefined> {
  for (const nameserver of nameservers) {
    if (abandoned.aborted) return undefined;
    const id = deps.random.bytes(2).readUInt16BE(0);
    const ask = transport === "udp" ? askByUdp : askByTcp;
    const answer = await ask({ clock: deps.clock, abandoned }, nameserver, question, id);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function askByUdp({ clock, abandoned }: Patience, { address, port }: Nameserver, question: Question, id: number) {
  return new Promise<Buffer | undefined>((resolve) => {
    const socket = createSocket(isIPv6(address.split("%")[0]!) ? "udp6" : "udp4");
    let open = true;
    const end = (answer?: Buffer) => {
      if (!open) return;
      open = false;
      clock.cancel(timer);
      socket.close();
      resolve(answer);
    };
    const timer = clock.after(TIMEOUT_MS, end);
    abandoned.addEventListener("abort", () => end());
    socket.on("error", () => end());
    socket.on("message", (message) => {
      if (answers(message, id, question)) end(message);
    });
    socket.connect(port, address, () => {
      if (open) socket.send(writeQuery(id, question));
    });
  });
}

function askByTcp({ clock, abandoned }: Patience, { address, port }: Nameserver, question: Question, id: number) {
  return new Promise<Buffer | undefined>((resolve) => {
    const socket = connect(port, address);
    const end = (answer?: Buffer) => {
      clock.cancel(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = clock.after(TIMEOUT_MS, end);
    abandoned.addEventListener("abort", () => end());
    let received = Buffer.alloc(0);
    socket.on("connect", () => socket.write(prefixed(writeQuery(id, question))));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const message = firstMessage(received);
      if (message !== undefined) end(answers(message, id, question) ? message : undefined);
    });
    socket.on("error", () => end());
    socket.on("end", () => end());
  });
}

/** As TCP carries messages: two bytes of length before each. */
export function prefixed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length, 0);
  return Buffer.concat([length, message]);
}

export function firstMessage(received: Buffer): Buffer | undefined {
  if (received.length < 2) return undefined;
  const end = 2 + received.readUInt16BE(0);
  return received.length < end ? undefined : received.subarray(2, end);
}
