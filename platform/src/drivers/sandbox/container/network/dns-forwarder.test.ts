import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket as TcpSocket } from "node:net";
import { type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createLog, createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { DnsForwarder, type ForwarderDeps } from "./dns-forwarder.ts";
import { CODE, parseQuestion, TYPE, writeQuery, writeReply } from "./dns-message.ts";
import { prefixed } from "./dns-upstream.ts";

const HOST = "127.0.0.1";
const PER_SANDBOX = 64;
const CONNECTIONS_PER_SANDBOX = 16;
const IN_ALL = 512;
const LOST = "lost.example.test";

async function bound(t: TestContext, address: string): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket;
}

/** Asks of a nameserver that answers every name but one. Sandboxes are addresses of the loopback. */
async function openForwarder(t: TestContext, deps: Partial<ForwarderDeps> = {}) {
  const nameserver = await bound(t, HOST);
  let [asked, expected, allAsked] = [0, 0, () => {}];
  nameserver.on("message", (message, from) => {
    const question = parseQuestion(message)!;
    if (++asked === expected) allAsked();
    if (question.name !== LOST) nameserver.send(writeReply(question, CODE.noError), from.port, from.address);
  });
  const forwarder = new DnsForwarder({
    clock: createSystemClock(),
    random: createSystemRandom(),
    log: createSilentLog(),
    admission: { admit: () => "admitted", open: async () => {} },
    nameservers: async () => [{ address: HOST, port: nameserver.address().port }],
    ...deps,
  });
  const ports = await forwarder.open(HOST);
  t.after(() => forwarder.close());
  const asks = (count: number) =>
    new Promise<void>((resolve) => {
      [expected, allAsked] = [count, resolve];
      if (asked >= count) resolve();
    });
  return { ...ports, asks };
}

function question(id: number, name: string): Buffer {
  const labels = [...name.split("."), ""].flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  const section = Buffer.concat([...labels, Buffer.from([0, TYPE.A, 0, 1])]);
  return writeQuery(id, { id, name, type: TYPE.A, section });
}

/** The answer's code by question, as they come. */
function ask(socket: Socket, port: number, name: string, count: number): Map<number, number> {
  const codes = new Map<number, number>();
  socket.on("message", (answer) => codes.set(answer.readUInt16BE(0), answer.readUInt16BE(2) & 0xf));
  for (let id = 0; id < count; id++) socket.send(question(id, name), port, HOST);
  return codes;
}

async function answered(socket: Socket, codes: ReadonlyMap<number, number>, count: number): Promise<number[]> {
  while (codes.size < count) await once(socket, "message");
  return [...codes.values()];
}

test("sandboxes whose questions take all places are made to give way to one with fewer", {
  timeout: 10_000,
}, async (t) => {
  const { udpPort, asks } = await openForwarder(t);
  const greedy = await Promise.all(
    Array.from({ length: IN_ALL / PER_SANDBOX }, (_, index) => bound(t, `127.0.1.${index + 1}`)),
  );
  const lost: Map<number, number>[] = [];
  for (const socket of greedy) {
    lost.push(ask(socket, udpPort, LOST, PER_SANDBOX));
    // More at a time would not fit into a socket's buffer.
    await asks(lost.length * PER_SANDBOX);
  }
  const small = await bound(t, "127.0.2.1");
  const codes = await answered(small, ask(small, udpPort, "web.example.test", 20), 20);
  assert.deepEqual(new Set(codes), new Set([CODE.noError]));
  const given = lost.map((codes) => [...codes.values()]);
  assert.ok(given.flat().every((code) => code === CODE.serverFailure));
  // Each of the largest in turn, and never more than came.
  assert.ok(given.flat().length >= 1 && given.flat().length <= 20, `${given.flat().length} gave way`);
  assert.ok(given.every(({ length }) => length <= 3));
});

test("so are those with the most connections", { timeout: 10_000 }, async (t) => {
  const { tcpPort } = await openForwarder(t);
  const open = async (localAddress: string) => {
    const socket = connect({ port: tcpPort, host: HOST, localAddress });
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  const sandboxes = Array.from({ length: IN_ALL / CONNECTIONS_PER_SANDBOX }, (_, index) => `127.0.1.${index + 1}`);
  const greedy: TcpSocket[] = [];
  for (const address of sandboxes) {
    const each = Array.from({ length: CONNECTIONS_PER_SANDBOX }, () => open(address));
    greedy.push(...(await Promise.all(each)));
  }
  const closed = Promise.race(greedy.map((socket) => once(socket, "close")));
  const small = await open("127.0.2.1");
  small.write(prefixed(question(7, "web.example.test")));
  const [answer] = (await once(small, "data")) as [Buffer];
  assert.equal(answer.readUInt16BE(2), 7);
  await closed;
});

test("what can't be opened is told once a minute and sandbox, in short", { timeout: 10_000 }, async (t) => {
  const lines: string[] = [];
  let laterMs = 0;
  const system = createSystemClock();
  const clock = { ...system, monotonic: () => system.monotonic() + laterMs };
  const { udpPort } = await openForwarder(t, {
    clock,
    log: createLog({ clock, write: (line) => lines.push(line) }, { level: "warn" }),
    // As it would once something is to be opened.
    nameservers: () => Promise.reject(new Error("there are too many")),
  });
  const [one, other] = [await bound(t, "127.0.1.1"), await bound(t, "127.0.1.2")];
  const askAll = async (socket: Socket) => {
    const codes = await answered(socket, ask(socket, udpPort, "web.example.test", 10), 10);
    assert.deepEqual(new Set(codes), new Set([CODE.serverFailure]));
  };
  await askAll(one);
  await askAll(one);
  await askAll(other);
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).address),
    ["127.0.1.1", "127.0.1.2"],
  );
  assert.ok(lines.every((line) => line.includes("there are too many") && line.length < 300));
  laterMs = 60_000;
  await askAll(one);
  assert.equal(lines.length, 3);
});
