import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { type Pack, pack } from "tar-stream";
import { drained } from "./drained.ts";
import type { FolderEntry } from "./walk.ts";

const CHUNK_BYTES = 64 * 1024;
/** Nothing that differs between two machines: no times, no owners, one of two modes. */
const SAME_EVERYWHERE = { mtime: new Date(0), uid: 0, gid: 0, uname: "", gname: "" };

/**
 * The entries of `folder`, as `walkFolder` found them, as a tar. The same files give the same bytes everywhere. Streams: of each
 * file a chunk at a time is held. Throws if a file is not what it was when it was found.
 */
export async function* packFolder(
  folder: string,
  entries: readonly FolderEntry[],
): AsyncGenerator<Uint8Array, void, void> {
  const packer = pack();
  // The reader below throws what destroyed the packer; when the reader has left already, nobody must.
  packer.on("error", () => {});
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));
  const adding = addAll(packer, folder, sorted);
  try {
    yield* packer as AsyncIterable<Uint8Array>;
  } finally {
    packer.destroy();
    await adding;
  }
}

/** Never rejects: what fails here destroys the packer. */
async function addAll(packer: Pack, folder: string, entries: readonly FolderEntry[]): Promise<void> {
  try {
    for (const entry of entries) {
      if (packer.destroying) return;
      if (entry.kind === "file") await addFile(packer, join(folder, entry.path), entry);
      else await add(packer, { type: "symlink", name: entry.path, linkname: entry.target, mode: 0o777 });
    }
    packer.finalize();
  } catch (error) {
    packer.destroy(error as Error);
  }
}

async function addFile(packer: Pack, path: string, entry: FolderEntry & { kind: "file" }): Promise<void> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    if (size !== entry.bytes) throw changed(path);
    await add(
      packer,
      { type: "file", name: entry.path, size, mode: entry.executable ? 0o755 : 0o644 },
      chunksOf(file, path, size),
    );
  } finally {
    await file.close();
  }
}

/** Exactly `size` bytes: a tar has said how many follow before they do. */
async function* chunksOf(file: FileHandle, path: string, size: number): AsyncGenerator<Uint8Array, void, void> {
  for (let left = size; left > 0; ) {
    const buffer = new Uint8Array(Math.min(CHUNK_BYTES, left));
    const { bytesRead } = await file.read(buffer, 0, buffer.byteLength);
    if (bytesRead === 0) throw changed(path);
    left -= bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function changed(path: string): Error {
  return new Error(`${path} was changed while it was packed; try again when nothing writes to it.`);
}

type Header = Parameters<Pack["entry"]>[0];

async function add(packer: Pack, header: Header, content?: AsyncIterable<Uint8Array>): Promise<void> {
  const { promise: ended, resolve } = Promise.withResolvers<Error | null | undefined>();
  const sink = packer.entry({ ...SAME_EVERYWHERE, ...header }, resolve);
  sink.on("error", () => {}); // tells `resolve` as well
  for await (const chunk of content ?? []) {
    if (sink.destroying) break;
    if (!sink.write(chunk)) await drained(sink);
  }
  sink.end(null);
  const failure = await ended;
  if (failure) throw failure;
}
