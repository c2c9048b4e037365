import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { MOUNT, type SystemCalls } from "#base/system-calls.ts";

/** The minor numbers of the devices that every program may count on. */
const MINORS = Object.freeze({ null: 3, zero: 5, full: 7, random: 8, urandom: 9 });
const MEMORY_DEVICES = "1";
const LINKS = Object.freeze({ fd: "", stdin: "/0", stdout: "/1", stderr: "/2" });

/**
 * The /dev of sandboxes, with nodes of its own: who locks or dates one does it to no program of the host's. Made anew in `folder`,
 * absolute, which is mounted for it and can't be written to. @throws Error where this process may not make devices.
 */
export async function makeDeviceNodes(calls: SystemCalls, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  calls.unmount(folder);
  const flags = MOUNT.noSetUserId | MOUNT.noExecute;
  calls.mount({ source: "tmpfs", target: folder, type: "tmpfs", flags, data: "size=4k,nr_inodes=16,mode=755" });
  // Of which runc takes the mode for what it mounts there.
  mkdirSync(join(folder, "shm"));
  chmodSync(join(folder, "shm"), 0o1777);
  for (const [name, end] of Object.entries(LINKS)) symlinkSync(`/proc/self/fd${end}`, join(folder, name));
  const make = promisify(execFile);
  const nodes = Object.entries(MINORS).map(([name, minor]) =>
    make("mknod", ["--mode=666", join(folder, name), "c", MEMORY_DEVICES, String(minor)]),
  );
  await Promise.all(nodes);
  // Devices are written to all the same.
  calls.mount({ target: folder, flags: MOUNT.remount | MOUNT.bind | MOUNT.readOnly | flags });
}
