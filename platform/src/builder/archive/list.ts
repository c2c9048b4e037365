import { Readable } from "node:stream";
import { extract } from "tar-stream";
import type { FolderEntry } from "./walk.ts";

/** What is in a tar that this platform packed, and the text of the files that `wanted` names. */
export async function listArchive(
  source: AsyncIterable<Uint8Array>,
  wanted: readonly string[] = [],
): Promise<{ readonly entries: readonly FolderEntry[]; readonly texts: ReadonlyMap<string, string> }> {
  const reader = extract();
  const entries: FolderEntry[] = [];
  const texts = new Map<string, string>();
  const reading = Readable.from(source).pipe(reader);
  for await (const entry of reading) {
    const { name: path, type, size = 0, mode = 0, linkname } = entry.header;
    if (type === "symlink") entries.push({ kind: "symlink", path, target: linkname ?? "" });
    else entries.push({ kind: "file", path, bytes: size, executable: (mode & 0o100) !== 0 });
    const chunks: Buffer[] = [];
    for await (const chunk of entry as AsyncIterable<Buffer>) if (wanted.includes(path)) chunks.push(chunk);
    if (wanted.includes(path)) texts.set(path, Buffer.concat(chunks).toString("utf8"));
  }
  return { entries, texts };
}
