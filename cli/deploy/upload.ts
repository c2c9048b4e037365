import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { count } from "#contract/count.ts";
import type { Client } from "../client/client.ts";
import { ApiError } from "../client/problem.ts";
import { CliError } from "../failure.ts";
import { showBytes } from "../output/units.ts";
import { mayComeBack, Waits } from "../reconnect.ts";
import type { Progress } from "./progress.ts";
import type { PackedSource } from "./source.ts";

/** So long without a single byte getting through. */
const LONGEST_MS = 60_000;

/** Sends the source unless control has it. A connection that is cut is made again, and the upload goes on where it was. */
export async function upload(
  client: Client,
  packed: PackedSource,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { source, digest } = packed;
  const name = source.functions.join(", ");
  const what = `${count(source.entries.length, "file")}, ${showBytes(source.bytes)}`;
  const stands = await client.uploadStands(digest);
  if (stands === "stored") return progress.line(`${name}: ${what}, uploaded before`);
  await new Upload({ client, packed, progress, signal }, name).send(stands);
  progress.line(`${name}: ${what}, uploaded`);
}

interface UploadDeps {
  readonly client: Client;
  readonly packed: PackedSource;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

class Upload {
  readonly #deps: UploadDeps;
  readonly #name: string;
  readonly #waits = new Waits();
  /** What arrived had not the digest: something of it was damaged. */
  #mismatches = 0;

  constructor(deps: UploadDeps, name: string) {
    this.#deps = deps;
    this.#name = name;
  }

  async send(from: number): Promise<void> {
    let offset: number | "stored" = from;
    while (offset !== "stored") {
      if (offset > 0) this.#tellGoingOn(offset);
      if (await this.#piece(offset)) return;
      offset = await this.#standsAgain(offset);
    }
  }

  /** Sends all from `offset` on; false when that broke off and may be gone on with. */
  async #piece(offset: number): Promise<boolean> {
    const { client, packed, progress } = this.#deps;
    const { digest, bytes } = packed;
    progress.bytes(this.#name, offset, bytes);
    const body = bodyFrom(packed, offset, (sent) => progress.bytes(this.#name, sent, bytes));
    try {
      return (await client.appendUpload(digest, { offset, bytes, body })) === "stored";
    } catch (error) {
      this.#check(error);
      return false;
    } finally {
      body.destroy();
    }
  }

  /** Where it stands, as soon as control can be asked. */
  async #standsAgain(before: number): Promise<number | "stored"> {
    const { client, packed, progress, signal } = this.#deps;
    for (;;) {
      progress.change(`${this.#name}: not all arrived; trying again…`);
      await this.#waits.wait(signal);
      try {
        const offset = await client.uploadStands(packed.digest);
        if (offset !== "stored" && offset > before) this.#waits.reset();
        else if (offset !== "stored" && this.#waits.waitedMs >= LONGEST_MS) throw this.#stuck(offset);
        return offset;
      } catch (error) {
        this.#check(error);
      }
    }
  }

  #stuck(offset: number): CliError {
    const { packed } = this.#deps;
    const message = `${this.#name}: the upload does not get beyond ${showBytes(offset)} of ${showBytes(packed.bytes)}.`;
    const hints = [
      "Something between here and control, such as a proxy, may hold back what is sent: try a direct connection.",
    ];
    return new CliError(message, { hints });
  }

  /** @throws the error when trying again can't help, or has been tried for long enough. */
  #check(error: unknown): void {
    this.#deps.signal.throwIfAborted();
    if (this.#waits.waitedMs >= LONGEST_MS || !this.#mayGoOn(error)) throw error;
  }

  #mayGoOn(error: unknown): boolean {
    if (!(error instanceof ApiError)) return mayComeBack(error);
    if (error.code === "digest-mismatch") return ++this.#mismatches === 1;
    // Control still waits for the connection that was cut, or somebody else sends the same; or too little came for long.
    return error.status === 409 || error.status === 408 || mayComeBack(error);
  }

  #tellGoingOn(offset: number): void {
    const { packed, progress } = this.#deps;
    progress.line(`${this.#name}: going on at ${showBytes(offset)} of ${showBytes(packed.bytes)}`);
  }
}

function bodyFrom({ path }: PackedSource, start: number, sent: (bytes: number) => void): Readable {
  const counted = async function* (): AsyncGenerator<Buffer, void, void> {
    let bytes = start;
    for await (const chunk of createReadStream(path, { start, highWaterMark: 256 * 1024 })) {
      yield chunk;
      bytes += chunk.length;
      sent(bytes);
    }
  };
  return Readable.from(counted(), { objectMode: false });
}
