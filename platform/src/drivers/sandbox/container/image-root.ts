/**
 * Roots out of a folder that an OCI image was unpacked into: a read-only overlay of that folder below and a small one of ours
 * on top, which has the mount points and the files of /etc that a sandbox needs. What stands in the image, symbolic links too,
 * leads nowhere but into it: nothing here follows them.
 */
import { execFile } from "node:child_process";
import { lstatSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { MOUNT, type SystemCalls } from "#base/system-calls.ts";
import { PlatformError } from "#contract/errors.ts";

/** By the name of the runtime; `*` for all others. */
export type ImageFolders = Readonly<Record<string, string>>;

/** Would be read as the overlay's own. */
const SPECIAL = /[:,\\]/;
/** No user of the host's, nor of any sandbox. */
const NOBODY = "999999999:999999999";
const ANSWERS_MS = 10_000;

export function imageFor(images: ImageFolders, runtime: string): string | undefined {
  return Object.hasOwn(images, runtime) ? images[runtime] : images["*"];
}

/** @throws PlatformError that names the folder and what it lacks. */
export function checkImages(images: ImageFolders): void {
  for (const folder of Object.values(images)) {
    const lack = lackOf(folder);
    if (lack !== undefined)
      throw unusable(folder, `${lack}: name a folder that an OCI image was unpacked into, with its bin, lib and usr`);
  }
}

function lackOf(folder: string): string | undefined {
  if (SPECIAL.test(folder)) return "its path has a colon, a comma or a backslash";
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return "there is no such folder";
  return isInImage(folder, "/bin/sh") ? undefined : "it has no /bin/sh";
}

/** Whether something stands there: a link counts, and is not followed. */
export function isInImage(image: string, path: string): boolean {
  // On most systems /bin is a link to it.
  return [path, join("/usr", path)].some(
    (candidate) => lstatSync(join(image, candidate), { throwIfNoEntry: false }) !== undefined,
  );
}

/** @param top ours, which hides what the image has of the same name. */
export function mountImage(calls: SystemCalls, image: string, top: string, folder: string): void {
  const flags = MOUNT.readOnly | MOUNT.noSetUserId | MOUNT.noDevices;
  calls.mount({ source: "overlay", target: folder, type: "overlay", flags, data: `lowerdir=${top}:${image}` });
}

/** Runs the runtime's program in there, by the image's shell and libraries. @throws PlatformError with what was said. */
export async function tryProgram(image: string, root: string, program: string): Promise<void> {
  const shell = ["/bin/sh", "-c", '"$0" --version', program];
  const options = { timeout: ANSWERS_MS, killSignal: "SIGKILL", env: { PATH: "/usr/bin:/bin" }, cwd: "/" } as const;
  try {
    await promisify(execFile)("/usr/sbin/chroot", [`--userspec=${NOBODY}`, root, ...shell], options);
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    const said = (stderr?.trim() || message).split("\n")[0];
    throw unusable(
      image,
      `${program} does not run in it ("${said}"): use an image with the GNU C library (such as debian or ubuntu, not alpine) and libstdc++, readable by everybody`,
    );
  }
}

function unusable(folder: string, why: string): PlatformError {
  return new PlatformError("unavailable", `COLIBRI_ROOTFS: ${folder} can't be the root of sandboxes: ${why}`);
}
