import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
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

/** `<folder>/<id>/handle.json`, beside what the driver keeps there. A crash of the machine ends the sandboxes too: no fsync. */
export function createDiskHandles(deps: { log: Log }, options: { folder: string }): Handles {
  const pathOf = (id: string) => join(options.folder, id, "handle.json");

  function read(id: string): SandboxRecord | undefined {
    try {
      return parseJson(sandboxRecord, readFileSync(pathOf(id), "utf8"), pathOf(id));
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
      const aside = `${path}.new`;
      const text = JSON.stringify(record);
      try {
        writeFileSync(aside, text, { mode: 0o600 });
      } catch (error) {
        // Of a driver that keeps nothing in the folder.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        mkdirSync(join(options.folder, record.handle.id), { recursive: true, mode: 0o700 });
        writeFileSync(aside, text, { mode: 0o600 });
      }
      renameSync(aside, path);
    },
    remove: (id) => rmSync(join(options.folder, id), { recursive: true, force: true }),
  };
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
