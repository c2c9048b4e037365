import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Log } from "#base/log.ts";
import { anything, integer, map, object, optional, parseJson, type TypeOf, text } from "#contract/shape.ts";
import { lifeRecord } from "#domain/sandbox/record.ts";

/** What the next agent must know of a sandbox. */
const sandboxRecord = object({
  version: integer(1, 1),
  handle: object({
    version: integer(1, 1),
    technology: text(64),
    id: text(64),
    runtime: text(64),
    memoryMiB: integer(1),
    state: map(anything, 100),
  }),
  /** Of the launch it was started with (runtimes.ts). */
  fingerprint: optional(text(64)),
  slots: integer(0),
  life: lifeRecord,
});
export type SandboxRecord = TypeOf<typeof sandboxRecord>;

/** Where records survive the agent. Small and synchronous, so that what is told next is never ahead of what is written. */
export interface Handles {
  load(): SandboxRecord[];
  save(record: SandboxRecord): void;
  remove(id: string): void;
}

/** A page: what is written of one at once is there whole or not at all when we are killed. Records are shorter by far. */
const PAGE_BYTES = 4_096;

/**
 * `<folder>/<id>/handle.json`, its first line, beside what the driver keeps there. A crash of the machine ends the sandboxes too: no
 * fsync.
 */
export function createDiskHandles(deps: { log: Log }, options: { folder: string }): Handles {
  const pathOf = (id: string) => join(options.folder, id, "handle.json");

  function read(id: string): SandboxRecord | undefined {
    try {
      const [line] = readFileSync(pathOf(id), "utf8").split("\n");
      return parseJson(sandboxRecord, line!, pathOf(id));
    } catch (error) {
      // A start that was cut off has no handle yet; what can't be read is reaped like what was never written.
      deps.log.warn("a sandbox has no handle that can be read", { sandbox: id, error });
      return undefined;
    }
  }

  return {
    load() {
      if (!existsSync(options.folder)) return [];
      return readdirSync(options.folder).flatMap((id) => read(id) ?? []);
    },
    save(record) {
      const path = pathOf(record.handle.id);
      const bytes = wholePages(`${JSON.stringify(record)}\n`);
      try {
        writeOver(path, bytes);
      } catch (error) {
        // Of a driver that keeps nothing in the folder.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        mkdirSync(join(options.folder, record.handle.id), { recursive: true, mode: 0o700 });
        writeOver(path, bytes);
      }
    },
    remove: (id) => rmSync(join(options.folder, id), { recursive: true, force: true }),
  };
}

function wholePages(text: string): Buffer {
  const used = Buffer.byteLength(text);
  return Buffer.concat([Buffer.from(text)], Math.ceil(used / PAGE_BYTES) * PAGE_BYTES);
}

/** A rename over an older file would cost the disk's journal 0.2 to 1 ms, on the way of every start. */
function writeOver(path: string, bytes: Buffer): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    if (writeSync(file, bytes, 0, bytes.length, 0) < bytes.length)
      throw new Error(`${path} could not be written whole`);
  } finally {
    closeSync(file);
  }
}

/** For simulations: survives as long as somebody holds it. */
export function createMemoryHandles(): Handles {
  const records = new Map<string, string>();
  return {
    load: () => [...records.values()].map((record) => parseJson(sandboxRecord, record, "record")),
    save: (record) => void records.set(record.handle.id, JSON.stringify(record)),
    remove: (id) => void records.delete(id),
  };
}
