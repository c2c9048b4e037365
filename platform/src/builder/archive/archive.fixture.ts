import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "tar-stream";

/** For the tests of this folder: archives that no honest program makes. */

export interface Written {
  readonly name: string;
  readonly type?: string;
  readonly content?: Uint8Array | string;
  readonly mode?: number;
  readonly linkname?: string;
  readonly pax?: Record<string, string>;
}

/** A tar of what `entries` say, in their order. */
export async function tarOf(entries: readonly Written[]): Promise<Buffer> {
  const packer = pack();
  for (const { content, ...header } of entries) {
    if (content === undefined) packer.entry({ mtime: new Date(0), ...header } as never);
    else packer.entry({ mtime: new Date(0), ...header } as never, Buffer.from(content));
  }
  packer.finalize();
  return Buffer.concat((await Array.fromAsync(packer)) as Buffer[]);
}

/** Writes `bytes` into the header at `at` and makes its checksum right again. */
export function patched(tar: Buffer, at: number, bytes: string, header = 0): Buffer {
  const copy = Buffer.from(tar);
  copy.write(bytes, header + at, "latin1");
  return checksummed(copy, header);
}

export function checksummed(tar: Buffer, header: number): Buffer {
  tar.fill(" ", header + 148, header + 156);
  const sum = tar.subarray(header, header + 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, header + 148, "latin1");
  return tar;
}

export async function* inChunks(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array, void, void> {
  for (let start = 0; start < bytes.byteLength; start += size) yield bytes.subarray(start, start + size);
}

export async function inTemporaryFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "colibri-archive-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
