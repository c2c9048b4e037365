/**
 * What is asked of the kernel's netfilter directly: a message costs microseconds, a process of nft milliseconds.
 *
 * Messages are as in <linux/netfilter/nfnetlink.h>, nf_tables.h and nfnetlink_conntrack.h. Headers and lengths have the machine's
 * byte order, which is little-endian wherever Colibri runs; what is marked so in those files has the network's.
 */
import { getSystemErrorMap } from "node:util";
import type { SystemCalls } from "#base/system-calls.ts";
import { parseAddress } from "#contract/network/ipv4.ts";

export interface Netfilter {
  /** Another for every table that was ever made; undefined when there is none of that name. @param table family and name. */
  tableHandle(table: string): bigint | undefined;
  /** Ends the kernel's memory of all connections that came from there. @throws Error where the kernel can't (before Linux 5.8). */
  forgetConnections(address: string): void;
}

const REQUEST = 1;
const ACKNOWLEDGE = 4;
const ERROR = 2;
const ENOENT = -2;
const HEADER_BYTES = 20;
const NESTED = 0x8000;

const GET_TABLE = (10 << 8) | 1;
const FAMILY_INET = 1;
const TABLE = { name: 1, handle: 4 };

const DELETE_CONNECTION = (1 << 8) | 2;
const FAMILY_IPV4 = 2;
const CONNECTION = { original: 1, addresses: 1, source: 1, filter: 25, originalFlags: 1 };
const BY_SOURCE = 1;

export function createNetfilter(calls: SystemCalls): Netfilter {
  return {
    tableHandle(table) {
      const [, name] = table.split(" ");
      const asked = attribute(TABLE.name, Buffer.from(`${name}\0`));
      const answer = calls.askNetfilter(message(GET_TABLE, REQUEST, [FAMILY_INET, 0], asked));
      const code = errorOf(answer);
      if (code === ENOENT) return undefined;
      if (code !== 0) throw refused(`get table ${table}`, code);
      return attributesOf(answer).get(TABLE.handle)?.readBigUInt64BE();
    },
    forgetConnections(address) {
      const source = Buffer.alloc(4);
      source.writeUInt32BE(parseAddress(address)!);
      const flags = Buffer.alloc(4);
      flags.writeUInt32LE(BY_SOURCE);
      const addresses = attribute(CONNECTION.addresses | NESTED, attribute(CONNECTION.source, source));
      const body = Buffer.concat([
        attribute(CONNECTION.original | NESTED, addresses),
        attribute(CONNECTION.filter | NESTED, attribute(CONNECTION.originalFlags, flags)),
      ]);
      // Version 1: only this family's.
      const code = errorOf(
        calls.askNetfilter(message(DELETE_CONNECTION, REQUEST | ACKNOWLEDGE, [FAMILY_IPV4, 1], body)),
      );
      if (code !== 0) throw refused(`forget connections of ${address}`, code);
    },
  };
}

function message(type: number, flags: number, [family, version]: readonly [number, number], body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(HEADER_BYTES + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header[16] = family;
  header[17] = version;
  return Buffer.concat([header, body]);
}

/** Padded to four bytes. */
function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, 4);
  return bytes;
}

/** Zero when the answer is no error. */
function errorOf(answer: Buffer): number {
  return answer.readUInt16LE(4) === ERROR ? answer.readInt32LE(16) : 0;
}

function attributesOf(answer: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  const end = Math.min(answer.readUInt32LE(0), answer.length);
  for (let offset = HEADER_BYTES; offset + 4 <= end; ) {
    const length = answer.readUInt16LE(offset);
    if (length < 4) break;
    found.set(answer.readUInt16LE(offset + 2), answer.subarray(offset + 4, offset + length));
    offset += Math.ceil(length / 4) * 4;
  }
  return found;
}

function refused(what: string, code: number): Error {
  const [name, text] = getSystemErrorMap().get(code) ?? [`errno ${-code}`, "unknown"];
  return new Error(`netfilter refused to ${what}: ${text} (${name})`);
}
