import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { answers, CODE, parseAnswer, parseQuestion, withId, writeQuery, writeReply } from "./dns-message.ts";

const HEADER = "123401000001000000000000";

function query(...labels: Buffer[]): Buffer {
  const name = labels.map((label) => Buffer.concat([Buffer.from([label.length]), label]));
  return Buffer.concat([Buffer.from(HEADER, "hex"), ...name, Buffer.from("0000010001", "hex")]);
}

const asked = parseQuestion(query(Buffer.from("Web"), Buffer.from("example")))!;

/** An answer with these records, each after a pointer to the question's name. */
function reply(...records: string[]): Buffer {
  const message = Buffer.concat([
    writeReply(asked, CODE.noError),
    ...records.map((hex) => Buffer.from(`c00c${hex}`, "hex")),
  ]);
  message.writeUInt16BE(records.length, 6);
  return message;
}

test("a question is read, and written anew without what followed it", () => {
  assert.equal(asked.name, "web.example");
  assert.equal(asked.id, 0x1234);
  const trailing = Buffer.concat([query(Buffer.from("Web"), Buffer.from("example")), Buffer.alloc(9, 7)]);
  assert.deepEqual(writeQuery(0x1234, parseQuestion(trailing)!), query(Buffer.from("Web"), Buffer.from("example")));
});

test("a dot inside a label does not read like one between labels", () => {
  assert.equal(parseQuestion(query(Buffer.from("a.b"), Buffer.from("c")))!.name, "a\\046b.c");
});

test("what is no single question is none", () => {
  const good = query(Buffer.from("a"));
  for (const [offset, value] of [
    [2, 0x81],
    [2, 0x29],
    [5, 0],
    [5, 2],
    [7, 1],
    [9, 1],
    [12, 0xc0],
    [12, 0x40],
  ] as const) {
    const bad = Buffer.from(good);
    bad[offset] = value;
    assert.equal(parseQuestion(bad), undefined, `byte ${offset}`);
  }
  for (let length = 0; length < good.length; length++) assert.equal(parseQuestion(good.subarray(0, length)), undefined);
  assert.equal(parseQuestion(query(...Array.from({ length: 200 }, () => Buffer.from("ab")))), undefined);
});

test("addresses and the shortest life are read, other records passed over", () => {
  const message = reply(
    "000500010000000a0003016100",
    "00010001000000640004cb00710a",
    "00010001000000320004cb00710b",
    "001c000100000001000400000000",
  );
  assert.deepEqual(parseAnswer(message, asked), {
    truncated: false,
    addresses: ["203.0.113.10", "203.0.113.11"],
    ttlSeconds: 50,
  });
});

test("only the answer to this question counts", () => {
  const message = reply();
  assert.equal(answers(message, 0x1234, asked), true);
  assert.equal(answers(message, 0x1235, asked), false);
  assert.equal(answers(withId(message, 7), 7, asked), true);
  assert.equal(answers(message, 0x1234, parseQuestion(query(Buffer.from("wex"), Buffer.from("example")))!), false);
  assert.equal(answers(query(Buffer.from("web"), Buffer.from("example")), 0x1234, asked), false);
});

test("cut or lying answers are refused, and no bytes at all break the parser", () => {
  const message = reply("00010001000000640004cb00710a");
  for (let length = 12 + asked.section.length; length < message.length; length++) {
    assert.equal(parseAnswer(message.subarray(0, length), asked), undefined);
  }
  const random = createSeededRandom(7);
  let parsed = 0;
  for (let round = 0; round < 20_000; round++) {
    const damaged = Buffer.from(message);
    for (let change = random.below(4); change >= 0; change--) damaged[random.below(damaged.length)] = random.below(256);
    parseQuestion(damaged);
    if (answers(damaged, 0x1234, asked) && parseAnswer(damaged, asked) !== undefined) parsed++;
  }
  // The canary: much of it still parses, so the walk does reach the records.
  assert.ok(parsed > 1_000, `${parsed} parsed`);
});
