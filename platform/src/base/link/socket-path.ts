import { closeSync, mkdirSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";

/** A Unix socket's path must fit 108 bytes. */
const LONGEST_PATH = 100;

/**
 * A way to name a Unix socket whose path may be too long for the kernel: through a descriptor of its folder. Keep it until the
 * socket is closed, then release it.
 */
export function openSocketPath(path: string): { readonly path: string; release(): void } {
  if (Buffer.byteLength(path) <= LONGEST_PATH) return { path, release() {} };
  const folder = openSync(dirname(path), "r");
  let open = true;
  return {
    path: `/proc/self/fd/${folder}/${basename(path)}`,
    release() {
      if (open) closeSync(folder);
      open = false;
    },
  };
}

/** Folder of a socket, only for its owner. */
export function prepareSocketFolder(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
}
