/**
 * DNS messages (RFC 1035), as little of them as a forwarder needs. Sandboxes and nameservers are strangers: every read is
 * bounded, and whatever does not parse is undefined.
 */
import { formatAddress } from "#contract/network/ipv4.ts";

export interface Question {
  readonly id: number;
  /** Lower case, without the last dot; bytes other than letters, digits, `-` and `_` as `\ddd`. */
  readonly name: string;
  readonly type: number;
  /** The question section as it was asked. */
  readonly section: Buffer;
}

export interface Answer {
  readonly truncated: boolean;
  /** Of its A records. */
  readonly addresses: readonly string[];
  /** The shortest life among them; 0 when there are none. */
  readonly ttlSeconds: number;
}

export const TYPE = Object.freeze({ A: 1, AAAA: 28 });
export const CODE = Object.freeze({ noError: 0, serverFailure: 2, refused: 5 });

const HEADER_BYTES = 12;
const CLASS_INTERNET = 1;
const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSE = 0x0100;
const FLAG_RECURSIVE = 0x0080;
const OPCODE = 0x7800;
const MAXIMUM_NAME_BYTES = 255;
const MAXIMUM_LABEL_BYTES = 63;
/** More than any answer of a usable size holds. */
const MAXIMUM_RECORDS = 512;

/** One plain question, as resolvers send it. */
export function parseQuestion(message: Buffer): Question | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const isQuery = (message.readUInt16BE(2) & (FLAG_RESPONSE | OPCODE)) === 0;
  // Additional records may follow (EDNS); they go no further than here.
  if (!isQuery || message.readUInt16BE(4) !== 1 || message.readUInt32BE(6) !== 0) return undefined;
  const name = readName(message, HEADER_BYTES);
  if (name === undefined || name.end + 4 > message.length) return undefined;
  const section = Buffer.from(message.subarray(HEADER_BYTES, name.end + 4));
  return { id: message.readUInt16BE(0), name: name.name, type: message.readUInt16BE(name.end), section };
}

export function writeQuery(id: number, { section }: Question): Buffer {
  return Buffer.concat([header(id, FLAG_RECURSE), section]);
}

/** An answer of our own, without records. */
export function writeReply({ id, section }: Question, code: number): Buffer {
  return Buffer.concat([header(id, FLAG_RESPONSE | FLAG_RECURSE | FLAG_RECURSIVE | code), section]);
}

/** The same message under another id. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** Whether this answers that query: the id and the question, the case of letters aside. */
export function answers(message: Buffer, id: number, { section }: Question): boolean {
  if (message.length < HEADER_BYTES + section.length) return false;
  if (message.readUInt16BE(0) !== id || (message.readUInt16BE(2) & FLAG_RESPONSE) === 0) return false;
  if (message.readUInt16BE(4) !== 1) return false;
  const echoed = message.subarray(HEADER_BYTES, HEADER_BYTES + section.length);
  return echoed.toString("latin1").toLowerCase() === section.toString("latin1").toLowerCase();
}

/** Of a message that `answers`. */
export function parseAnswer(message: Buffer, { section }: Question): Answer | undefined {
  const count = message.readUInt16BE(6);
  if (count > MAXIMUM_RECORDS) return undefined;
  const addresses: string[] = [];
  let ttlSeconds = Number.POSITIVE_INFINITY;
  let offset = HEADER_BYTES + section.length;
  const truncated = (message.readUInt16BE(2) & FLAG_TRUNCATED) !== 0;
  for (let index = 0; index < count; index++) {
    const start = skipName(message, offset);
    if (start === undefined || start + 10 > message.length) return undefined;
    const length = message.readUInt16BE(start + 8);
    offset = start + 10 + length;
    if (offset > message.length) return undefined;
    const isAddress = message.readUInt16BE(start) === TYPE.A && message.readUInt16BE(start + 2) === CLASS_INTERNET;
    if (!isAddress || length !== 4) continue;
    addresses.push(formatAddress(message.readUInt32BE(start + 10)));
    ttlSeconds = Math.min(ttlSeconds, message.readUInt32BE(start + 4));
  }
  return { truncated, addresses, ttlSeconds: addresses.length === 0 ? 0 : ttlSeconds };
}

function header(id: number, flags: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(flags, 2);
  bytes.writeUInt16BE(1, 4);
  return bytes;
}

/** A name without pointers: a question has nothing to point to. */
function readName(message: Buffer, start: number): { name: string; end: number } | undefined {
  const labels: string[] = [];
  for (let offset = start; offset < message.length && offset - start < MAXIMUM_NAME_BYTES; ) {
    const length = message[offset]!;
    if (length === 0) return { name: labels.join("."), end: offset + 1 };
    if (length > MAXIMUM_LABEL_BYTES || offset + 1 + length > message.length) return undefined;
    labels.push(labelText(message.subarray(offset + 1, offset + 1 + length)));
    offset += 1 + length;
  }
  return undefined;
}

/** A dot inside a label must not read like one between labels, or a name could pass for another. */
function labelText(label: Buffer): string {
  return label
    .toString("latin1")
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, (character) => `\\${String(character.charCodeAt(0)).padStart(3, "0")}`);
}

/** Where a record's name ends. Pointers are not followed: what the name is does not matter. */
function skipName(message: Buffer, start: number): number | undefined {
  for (let offset = start; offset < message.length; ) {
    const length = message[offset]!;
    if (length === 0) return offset + 1;
    if (length >= 0xc0) return offset + 2;
    if (length > MAXIMUM_LABEL_BYTES) return undefined;
    offset += 1 + length;
  }
  return undefined;
}
