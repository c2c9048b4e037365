/**
 * How the host's files are shown to sandboxes: through a read-only overlay with nothing above them. What is locked, watched or
 * dated then is the overlay's; what is read and mapped are the pages that the host has of the file.
 */
import { closeSync, mkdirSync, openSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MOUNT, type SystemCalls } from "#base/system-calls.ts";
import { PlatformError } from "#contract/errors.ts";

export interface ShowDeps {
  readonly calls: SystemCalls;
  /** Absolute, of this alone, for what is mounted on the way. */
  readonly workFolder: string;
}

const READ_ONLY = MOUNT.readOnly | MOUNT.noSetUserId | MOUNT.noDevices;

/** @param target of the source's kind. @throws PlatformError where there can be no overlay of it. */
export function showReadOnly(deps: ShowDeps, source: string, target: string): void {
  const path = realpathSync(source);
  if (statSync(path).isDirectory()) return mountOverlay(deps, path, target);
  const { calls, workFolder } = deps;
  const around = join(workFolder, "around");
  mkdirSync(around, { recursive: true });
  // Of an agent that was killed here.
  calls.unmount(around);
  mountOverlay(deps, dirname(path), around);
  try {
    calls.mount({ source: join(around, basename(path)), target, flags: MOUNT.bind });
    calls.mount({ target, flags: MOUNT.remount | MOUNT.bind | READ_ONLY });
  } finally {
    calls.unmount(around);
  }
}

function mountOverlay({ calls, workFolder }: ShowDeps, path: string, target: string): void {
  const empty = join(workFolder, "empty");
  mkdirSync(empty, { recursive: true });
  // Not by its name, of which an overlay would read some characters as its own.
  const folder = openSync(path, "r");
  try {
    const data = `lowerdir=${empty}:/proc/self/fd/${folder}`;
    calls.mount({ source: "overlay", target, type: "overlay", flags: READ_ONLY, data });
  } catch (error) {
    throw refused(path, error);
  } finally {
    closeSync(folder);
  }
}

function refused(path: string, cause: unknown): PlatformError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const remedy = `load the kernel's module "overlay"; where this machine's root is itself an overlay of overlays, keep its files, or an image that COLIBRI_ROOTFS names, on another file system`;
  const message = `${path} can't be shown to sandboxes: the kernel refused an overlay of it (${why}): ${remedy}`;
  return new PlatformError("unavailable", message, { cause });
}
