// Runs in a sandbox's namespace and tries what it is told, a JSON line at a time: { id, kind, … } → { id, result }.
import { createSocket } from "node:dgram";
import { Resolver } from "node:dns/promises";
import { connect, createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { NAMESERVER } from "./table.ts";

interface Order {
  readonly id: number;
  readonly kind: "tcp" | "names" | "flood" | "hold" | "say" | "listen" | "datagram" | "tcpNames";
  readonly host: string;
  readonly port: number;
  readonly from?: string;
  readonly text?: string;
  readonly count?: number;
}

const TIMEOUT_MS = 1_500;
let held: Socket | undefined;

const ACTIONS: Record<Order["kind"], (order: Order) => Promise<string>> = {
  tcp: async (order) => {
    const { socket, first } = await open(order);
    socket?.destroy();
    return first;
  },
  hold: async (order) => {
    const { socket, first } = await open(order);
    held = socket;
    return first;
  },
  say: ({ text }) => say(held, text!),
  listen: ({ port }) =>
    new Promise((resolve) => {
      createServer((socket) => socket.end("neighbour\n")).listen(port, "0.0.0.0", () => resolve("listening"));
    }),
  names: async ({ host }) => {
    const resolver = new Resolver({ timeout: 1_500, tries: 3 });
    resolver.setServers([NAMESERVER]);
    return resolver.resolve4(host).then(String, (error) => error.code);
  },
  flood: async ({ host, count }) => {
    const resolver = new Resolver({ timeout: 1_500, tries: 3 });
    resolver.setServers([NAMESERVER]);
    const ask = (index: number) =>
      resolver.resolve4(`slow.${index}.${host}`).then(String, (error) => error.code as string);
    const codes = await Promise.all(Array.from({ length: count! }, (_, index) => ask(index)));
    return JSON.stringify(Object.groupBy(codes, (code) => code));
  },
  tcpNames: async (order) => {
    const { socket } = await open({ ...order, host: NAMESERVER, port: 53 }, false);
    if (socket === undefined) return "no connection";
    const name = Buffer.concat(
      [...order.host.split("."), ""].map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    );
    const query = Buffer.concat([Buffer.from("123401000001000000000000", "hex"), name, Buffer.from("00010001", "hex")]);
    socket.write(Buffer.concat([Buffer.from([0, query.length]), query]));
    const reply = await Promise.race([new Promise<Buffer>((resolve) => socket.once("data", resolve)), later()]);
    socket.destroy();
    return Buffer.isBuffer(reply) ? [...reply.subarray(-4)].join(".") : "timeout";
  },
  datagram: ({ host, port, text }) =>
    new Promise((resolve) => {
      const socket = createSocket("udp4");
      socket.send(Buffer.from(text!, "hex"), port, host, (error) => {
        socket.close();
        resolve(error === null ? "sent" : String(error));
      });
    }),
};

/** `connected` or the first line it says; else why not. */
function open({ host, port, from }: Order, wait = true): Promise<{ socket?: Socket; first: string }> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, ...(from === undefined ? {} : { localAddress: from }) });
    socket.setTimeout(TIMEOUT_MS, () => fail("timeout"));
    const fail = (first: string) => {
      socket.destroy();
      resolve({ first });
    };
    socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code!));
    const done = (chunk: unknown) => {
      socket.setTimeout(0);
      resolve({ socket, first: String(chunk).trim() });
    };
    if (wait) socket.once("data", done);
    else socket.once("connect", () => done("connected"));
  });
}

async function say(socket: Socket | undefined, text: string): Promise<string> {
  if (socket === undefined || socket.destroyed) return "no connection";
  socket.write(`${text}\n`);
  const chunk = await Promise.race([new Promise((resolve) => socket.once("data", resolve)), later()]);
  return String(chunk).trim();
}

const later = () => new Promise<string>((resolve) => setTimeout(() => resolve("timeout"), TIMEOUT_MS));

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order;
  void ACTIONS[order.kind](order).then((result) => console.log(JSON.stringify({ id: order.id, result })));
}
process.exit(0);
