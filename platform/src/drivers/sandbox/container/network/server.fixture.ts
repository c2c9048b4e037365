// What a fake internet serves: a word on every TCP port asked for, and names. Prints a line when it listens.
// Arguments: the address that names lead to, a private address, TCP ports separated by commas.
import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import { parseAddress } from "#contract/network/ipv4.ts";
import { parseQuestion, writeReply } from "./dns-message.ts";

const [, , publicAddress, privateAddress, ports] = process.argv as string[];
const ZONE: Record<string, string> = {
  "web.example.test": publicAddress!,
  "a.wild.example.test": publicAddress!,
  "big.example.test": publicAddress!,
  "short.example.test": publicAddress!,
  "rebound.example.test": privateAddress!,
};
const asked = new Map<string, number>();
let flying = 0;
let peak = 0;

function answer(query: Buffer, transport: "udp" | "tcp"): Buffer | undefined {
  const question = parseQuestion(query);
  if (question === undefined) return undefined;
  asked.set(question.name, (asked.get(question.name) ?? 0) + 1);
  const found = ZONE[question.name];
  if (found === undefined || question.type !== 1) return writeReply(question, 3);
  const reply = writeReply(question, 0);
  if (question.name.startsWith("big.") && transport === "udp") {
    reply.writeUInt16BE(reply.readUInt16BE(2) | 0x0200, 2);
    return reply;
  }
  reply.writeUInt16BE(1, 6);
  const record = Buffer.from("c00c00010001000000050004", "hex");
  const address = Buffer.alloc(4);
  address.writeUInt32BE(parseAddress(found)!);
  return Buffer.concat([reply, record, address]);
}

const udp = createSocket("udp4");
udp.on("message", (query, from) => {
  const name = parseQuestion(query)?.name ?? "";
  // Slow on purpose: who floods must run into the forwarder's bound.
  const delay = name.startsWith("slow.") ? 300 : 0;
  flying++;
  peak = Math.max(peak, flying);
  setTimeout(() => {
    flying--;
    const reply = answer(query, "udp");
    if (reply) udp.send(reply, from.port, from.address);
  }, delay);
});
udp.bind(53, publicAddress);
const tcp = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", (chunk) => {
    const reply = answer(chunk.subarray(2), "tcp");
    if (!reply) return socket.destroy();
    const length = Buffer.alloc(2);
    length.writeUInt16BE(reply.length);
    socket.end(Buffer.concat([length, reply]));
  });
});
tcp.listen(53, publicAddress);
// Says who asks, echoes a line, and tells what it saw of names.
for (const port of ports!.split(",").map(Number)) {
  createServer((socket) => {
    socket.on("error", () => {});
    socket.write(`from ${socket.remoteAddress}\n`);
    socket.on("data", (chunk) => {
      const text = String(chunk).trim();
      socket.write(
        text === "peak" ? `${peak}\n` : text.startsWith("asked ") ? `${asked.get(text.slice(6)) ?? 0}\n` : chunk,
      );
    });
  }).listen(port, "0.0.0.0");
}
setTimeout(() => console.log("listening"), 50);
// Its standard input is the test: without it, it ends.
process.stdin.on("end", () => process.exit(0)).resume();
