import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { count } from "#contract/count.ts";
import type { Client } from "../client/client.ts";
import { showBytes } from "../output/units.ts";
import { retrying } from "../reconnect.ts";
import type { Progress } from "./progress.ts";
import type { PackedSource } from "./source.ts";

const RETRY_MS = 10_000;

/** Sends the source unless control has it. */
export async function upload(
  client: Client,
  packed: PackedSource,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { source, digest, bytes } = packed;
  const name = source.functions.join(", ");
  const what = `${count(source.entries.length, "file")}, ${showBytes(source.bytes)}`;
  if (await client.hasUpload(digest)) return progress.line(`${name}: ${what}, uploaded before`);
  progress.bytes(name, 0, bytes);
  const send = (): Promise<void> =>
    client.upload(
      digest,
      body(packed, (sent) => progress.bytes(name, sent, bytes)),
      bytes,
    );
  await retrying(send, RETRY_MS, signal);
  progress.line(`${name}: ${what}, uploaded`);
}

function body({ path }: PackedSource, sent: (bytes: number) => void): Readable {
  const counted = async function* (): AsyncGenerator<Buffer, void, void> {
    let bytes = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
      yield chunk;
      bytes += chunk.length;
      sent(bytes);
    }
  };
  return Readable.from(counted(), { objectMode: false });
}
