import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PlatformError } from "#contract/errors.ts";
import { encodePreamble } from "#contract/link/frame.ts";
import { integer, object, text } from "#contract/shape.ts";
import { createSystemClock } from "../clock.ts";
import { createSilentLog } from "../log.ts";
import { createSeededRandom } from "../random.ts";
import { SimulatedClock } from "../simulated-clock.ts";
import { createDialer } from "./dialer.ts";
import type { Link, LinkHandlers } from "./link.ts";
import { MessageLink } from "./message-link.ts";
import { createSimulatedNetwork } from "./simulated-network.ts";
import { createSocketNetwork } from "./socket-network.ts";

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "colibri-link-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const requests = { double: { request: object({ number: integer() }), answer: object({ number: integer() }) } };
const events = { told: object({ what: text() }) };
const none = {};

function collector(): LinkHandlers & { frames: string[]; closed: Promise<Error | undefined> } {
  const frames: string[] = [];
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  return {
    frames,
    closed: promise,
    frame: (frame) => void frames.push(`${frame.type}/${frame.stream}:${frame.head}:${frame.body.length}`),
    close: resolve,
  };
}

test("frames of any size arrive whole and in order, over a path longer than a socket's may be", async () => {
  const network = createSocketNetwork();
  const deep = join(folder, "d".repeat(90), "e".repeat(90));
  mkdirSync(deep, { recursive: true });
  const address = join(deep, "test.sock");
  const far = collector();
  const listener = await network.listen(address, ["agent"], () => far);
  const near = collector();
  const link = await network.dial(address, "agent", near);
  for (let number = 1; number <= 50; number++) link.send(7, 0, number, `{"n":${number}}`, Buffer.alloc(number * 3_000));
  link.close();
  await far.closed;
  assert.equal(far.frames.length, 50);
  for (const [index, frame] of far.frames.entries()) {
    assert.equal(frame, `7/${index + 1}:{"n":${index + 1}}:${(index + 1) * 3_000}`);
  }
  await listener.close();
});

test("what does not open like a link, or with another kind, is shut out and harms nobody", async () => {
  const network = createSocketNetwork();
  const address = join(folder, "shut.sock");
  let accepted = 0;
  const listener = await network.listen(address, ["agent"], () => {
    accepted++;
    return collector();
  });
  const stranger = connect(address).on("error", () => {});
  stranger.write("GET / HTTP/1.1\r\n\r\n");
  await new Promise((resolve) => stranger.once("close", resolve));
  await assert.rejects(network.dial(address, "plan", collector()), /no link to/);
  await network.dial(address, "agent", collector());
  assert.equal(accepted, 1);
  await listener.close();
});

test("who is dialled must greet in time, which is longer where a debugger may hold it", async (t) => {
  const address = join(folder, "silent.sock");
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket.on("error", () => {}))).listen(address);
  t.after(() => silent.close());
  await once(silent, "listening");
  const clock = new SimulatedClock();
  const hurried = createSocketNetwork({ clock }).dial(address, "agent", collector());
  const refused = assert.rejects(hurried, /no preamble within 5000 ms/);
  const unhurried = createSocketNetwork({ clock, greetingMs: 60_000 }).dial(address, "agent", collector());
  await clock.advance(59_999);
  await refused;
  while (sockets.length < 2) await once(silent, "connection");
  for (const socket of sockets) socket.write(encodePreamble("agent"));
  (await unhurried).close();
});

test("a handler that throws closes its own link only", async () => {
  const network = createSocketNetwork();
  const address = join(folder, "throw.sock");
  const ends: (Error | undefined)[] = [];
  const listener = await network.listen(address, ["data"], () => ({
    frame: () => {
      throw new Error("bad frame");
    },
    close: (error) => ends.push(error),
  }));
  const first = collector();
  const second = collector();
  const link = await network.dial(address, "data", first);
  await network.dial(address, "data", second);
  link.send(1, 0, 1, "", null);
  await first.closed;
  assert.deepEqual(
    ends.map((error) => error?.message),
    ["bad frame"],
  );
  await listener.close();
  await second.closed;
});

async function pair(network = createSocketNetwork(), address = join(folder, `pair-${Math.random()}.sock`)) {
  const heard: string[] = [];
  const clock = createSystemClock();
  const server = new MessageLink(
    { clock },
    { asks: none, hears: none, serves: requests, emits: events },
    {
      serve: {
        double: ({ number }) => {
          if (number === 13) throw new PlatformError("no-capacity", "not thirteen");
          if (number === 99) return new Promise<never>(() => {});
          return { number: number * 2 };
        },
      },
      hear: {},
      closed: () => {},
    },
  );
  const client = new MessageLink(
    { clock },
    { asks: requests, hears: events, serves: none, emits: none },
    {
      serve: {},
      hear: { told: ({ what }) => heard.push(what) },
      closed: () => {},
    },
  );
  const listener = await network.listen(address, ["agent"], (link) => server.attach(link).handlers);
  client.attach(await network.dial(address, "agent", client.handlers));
  return { client, server, heard, close: () => listener.close() };
}

test("requests are answered, refused with the other side's code, checked, and heard events arrive before later answers", async () => {
  const { client, server, heard, close } = await pair();
  assert.deepEqual(await client.ask("double", { number: 21 }, 1_000), { number: 42 });
  await assert.rejects(
    client.ask("double", { number: 13 }, 1_000),
    (error: PlatformError) => error.code === "no-capacity" && error.message === "not thirteen",
  );
  await assert.rejects(
    client.ask("double", { number: -1 }, 1_000),
    (error: PlatformError) => error.code === "request-invalid" && /number: expected an integer/.test(error.message),
  );
  server.emit("told", { what: "first" });
  await client.ask("double", { number: 1 }, 1_000);
  assert.deepEqual(heard, ["first"]);
  await close();
});

test("a request that is not answered ends by time, or with the link", async () => {
  const { client, close } = await pair();
  await assert.rejects(client.ask("double", { number: 99 }, 20), /no answer to double within 20 ms/);
  const asked = client.ask("double", { number: 99 }, 10_000);
  await close();
  await assert.rejects(asked, /closed before double was answered/);
});

test("a dialer keeps one link up through refusals and cuts", async () => {
  const clock = new SimulatedClock(0);
  const random = createSeededRandom(5);
  const network = createSimulatedNetwork(clock, random, { delayMs: [1, 3] });
  let up = 0;
  let opened = 0;
  const dialer = createDialer(
    { network, clock, random, log: createSilentLog() },
    { address: "x", kind: "agent" },
    () => ({
      frame: () => {},
      opened: () => {
        up++;
        opened++;
      },
      close: () => void up--,
    }),
  );
  dialer.open();
  await clock.advance(5_000);
  assert.equal(opened, 0);
  const accepted: Link[] = [];
  await network.listen("x", ["agent"], (link) => {
    accepted.push(link);
    return { frame: () => {}, close: () => {} };
  });
  for (let round = 1; round <= 20; round++) {
    await clock.advance(3_000);
    assert.deepEqual([up, opened], [1, round]);
    network.cut("x");
  }
  const closed = dialer.close();
  await clock.advance(3_000);
  await closed;
  assert.equal(network.links, 0);
});
