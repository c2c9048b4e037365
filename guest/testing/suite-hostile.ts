import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom, type Random } from "#base/random.ts";
import { GUEST_FRAMES, INITIAL_WINDOW } from "#contract/guest/link.ts";
import { encodeFrame, encodePreamble, HEADER_BYTES, MAXIMUM_PAYLOAD } from "#contract/link/frame.ts";
import { REVISION } from "./driven-control.ts";
import type { GuestSuite } from "./guest-suite.ts";
import { within } from "./limit.ts";

const FUZZ_MS = 2_000;
const hello = JSON.stringify({ owner: "raw", epoch: 1 });
const invoke = JSON.stringify({
  id: "01J0000000000000000000000A",
  ...REVISION,
  budgetMs: 1_000,
  contentType: "text/plain",
});

/** Bytes that break the contract: that connection closes, others are unharmed. */
export function hostileTests(suite: GuestSuite): void {
  const { functions } = suite;

  test("what is not a preamble, or a kind it does not serve, is closed", async (t) => {
    const { guest, data } = await suite.ready(t, functions.echo);
    const cases = [
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.alloc(8),
      encodePreamble("peer"),
      Buffer.from([0x43, 0x4c, 0x42, 0x52, 0x64, 0, 0, 0]),
    ];
    for (const bytes of cases)
      await within(guest.raw(bytes).closed, `end of a stream that opens ${bytes.toString("hex")}`);
    assert.equal((await data.json("well")).body.toString(), "well");
  });

  test("a newer version is answered with the one both speak", async (t) => {
    const guest = await suite.start(t);
    const raw = guest.raw(encodePreamble("data", 9));
    raw.write(encodeFrame(GUEST_FRAMES.HELLO, 0, 0, hello, null));
    const end = performance.now() + 5_000;
    while (raw.received().length <= 8 && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 2));
    assert.deepEqual(raw.received().subarray(0, 8), encodePreamble("data", 1));
    assert.equal(raw.received()[8 + 4], GUEST_FRAMES.HELLO);
  });

  test("each breach on a data stream closes it and no other, and frees what ran on it", async (t) => {
    const { guest, control, data } = await suite.ready(t, functions.echo);
    const opened = [encodePreamble("data"), encodeFrame(GUEST_FRAMES.HELLO, 0, 0, hello, null)];
    const open = encodeFrame(GUEST_FRAMES.INVOKE, 0, 1, invoke, null);
    const tooLong = Buffer.alloc(HEADER_BYTES);
    tooLong.writeUInt32BE(MAXIMUM_PAYLOAD + 1);
    const longHead = encodeFrame(GUEST_FRAMES.DATA, 0, 1, "", Buffer.from("abc"));
    longHead.writeUInt32BE(4, 10);
    const cases: Record<string, Buffer[]> = {
      "an invocation before HELLO": [encodePreamble("data"), open],
      "a frame over the maximum": [...opened, tooLong],
      "a head longer than its frame": [...opened, longHead],
      "an unknown type": [...opened, encodeFrame(0x7f, 0, 0, "", null)],
      "a head that is not JSON": [...opened, encodeFrame(GUEST_FRAMES.INVOKE, 1, 1, "{", null)],
      "a head of the wrong shape": [...opened, encodeFrame(GUEST_FRAMES.INVOKE, 1, 1, '{"id":7}', null)],
      "a head that is not an object": [...opened, encodeFrame(GUEST_FRAMES.INVOKE, 1, 1, "null", null)],
      "an invocation on stream 0": [...opened, encodeFrame(GUEST_FRAMES.INVOKE, 1, 0, invoke, null)],
      "a stream used twice": [...opened, open, open],
      "a body beyond the window": [
        ...opened,
        open,
        ...Array.from({ length: 8 }, () => encodeFrame(GUEST_FRAMES.DATA, 0, 1, "", Buffer.alloc(INITIAL_WINDOW))),
      ],
      "a body after its end": [
        ...opened,
        encodeFrame(GUEST_FRAMES.INVOKE, 0, 1, invoke, null),
        encodeFrame(GUEST_FRAMES.DATA, 1, 1, "", null),
        encodeFrame(GUEST_FRAMES.DATA, 0, 1, "", Buffer.from("more")),
      ],
      "credit that is no number": [...opened, open, encodeFrame(GUEST_FRAMES.WINDOW, 0, 1, '{"credit":"x"}', null)],
      "a control frame": [...opened, encodeFrame(GUEST_FRAMES.PING, 0, 0, '{"sequence":1}', null)],
    };
    for (const [name, frames] of Object.entries(cases))
      await within(guest.raw(Buffer.concat(frames)).closed, `end of the stream with ${name}`);
    assert.equal((await data.json("well")).body.toString(), "well");
    let active = 1;
    for (let turn = 0; active > 0 && turn < 1_000; turn++) active = await control.ping();
    assert.equal(active, 0, "no slot is lost");
  });

  test("each breach on a control stream closes it, and the next one is served", async (t) => {
    const { guest, data } = await suite.ready(t, functions.echo);
    const load = JSON.stringify({ ...REVISION, handler: 7 });
    const cases: Record<string, Buffer> = {
      "bytes that are no frame": Buffer.alloc(64, 0xff),
      "an unknown type": encodeFrame(0x7f, 0, 0, "", null),
      "a head of the wrong shape": encodeFrame(GUEST_FRAMES.LOAD, 0, 0, load, null),
      "CODE nobody asked for": encodeFrame(GUEST_FRAMES.CODE, 1, 0, "", Buffer.from("abc")),
      "an invocation": encodeFrame(GUEST_FRAMES.INVOKE, 1, 1, invoke, null),
    };
    for (const [name, frame] of Object.entries(cases))
      await within(
        guest.raw(Buffer.concat([encodePreamble("control"), frame])).closed,
        `end of the stream with ${name}`,
      );
    assert.equal((await data.json("well")).body.toString(), "well");
    assert.equal((await guest.control()).hello.state, "ready");
  });

  test("fuzz: random bytes and mutated frames never crash it", async (t) => {
    const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`FUZZ_SEED=${seed}`);
    const random = createSeededRandom(seed);
    const { guest, control, data } = await suite.ready(t, functions.echo);
    const end = performance.now() + FUZZ_MS;
    let rounds = 0;
    for (; performance.now() < end; rounds++) {
      const raw = guest.raw(garble(random));
      const slow = new Promise((resolve) => setTimeout(resolve, 20));
      await Promise.race([raw.closed, slow]);
      raw.close();
      assert.equal(guest.child.exitCode, null, `the guest died in round ${rounds} of seed ${seed}: ${guest.stderr}`);
    }
    assert.ok(rounds > 20, `only ${rounds} rounds`);
    // A garbled HELLO may have named a newer epoch: ours is then rightly refused.
    data.close();
    const after = await guest.data({ epoch: 100 });
    assert.equal((await after.json("alive")).body.toString(), "alive", `seed ${seed}`);
    // Garbled control streams may have replaced ours; a new one is served all the same.
    control.close();
    assert.equal((await guest.control()).hello.state, "ready", `seed ${seed}`);
  });
}

/** A stream's worth of valid frames with a few bytes changed, left out or put in; now and then only noise. */
function garble(random: Random): Buffer {
  if (random.below(8) === 0) return random.bytes(1 + random.below(400));
  const kind = random.below(2) === 0 ? "data" : "control";
  const frames = [encodePreamble(kind)];
  if (kind === "data") frames.push(encodeFrame(GUEST_FRAMES.HELLO, 0, 0, hello, null));
  const types = kind === "data" ? [0x10, 0x13, 0x15, 0x16] : [0x05, 0x07, 0x03];
  const heads = [
    invoke,
    '{"credit":100}',
    '{"reason":"client"}',
    '{"sequence":1}',
    '{"timeoutMs":100}',
    "",
    "null",
    "[]",
  ];
  for (let count = random.below(6); count >= 0; count--)
    frames.push(
      encodeFrame(
        types[random.below(types.length)]!,
        random.below(4),
        random.below(3),
        heads[random.below(heads.length)]!,
        random.bytes(random.below(50)),
      ),
    );
  const bytes = Buffer.concat(frames);
  for (let count = random.below(4); count > 0; count--) bytes[random.below(bytes.length)] = random.below(256);
  return bytes.subarray(0, random.below(4) === 0 ? random.below(bytes.length) + 1 : bytes.length);
}
