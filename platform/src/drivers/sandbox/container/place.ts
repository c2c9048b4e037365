import { existsSync, lstatSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MOUNT, type SystemCalls } from "#base/system-calls.ts";

/** config.json and a handle. */
const SIZE = "size=256k,nr_inodes=64,mode=711";
/** A socket: the guest can write here, and must not be able to fill anything with it. */
const RUN_SIZE = "size=16k,nr_inodes=16,mode=700";

/** Of the sandbox's first process, in its working directory. */
export const SHELL_WORDS = "init.err";

/**
 * A sandbox's folder on the host, in memory and of a bounded size:
 *
 *   run/    the guest's working directory, with its socket: it may write here, a little
 *   code/   where the bundle is mounted when it is known; the sandbox sees it appear
 *   oci/    config.json and the pid
 *
 * Owns: the folder and the mounts in it, in this process's own mount table.
 */
export class Place {
  readonly folder: string;
  readonly #calls: SystemCalls;

  constructor(calls: SystemCalls, folder: string) {
    this.#calls = calls;
    this.folder = folder;
  }

  get run(): string {
    return join(this.folder, "run");
  }
  get code(): string {
    return join(this.folder, "code");
  }
  get bundle(): string {
    return join(this.folder, "oci");
  }
  /** Where the guest listens, as the host sees it. */
  get socket(): string {
    return join(this.run, "guest.sock");
  }
  get pidFile(): string {
    return join(this.bundle, "pid");
  }

  /** Whether the shell said anything. Nothing is opened: the sandbox may have put there what it likes. */
  get hasShellWords(): boolean {
    return (lstatSync(join(this.run, SHELL_WORDS), { throwIfNoEntry: false })?.size ?? 0) > 0;
  }

  get exists(): boolean {
    return existsSync(this.run);
  }

  /** For a guest with that id on the host. */
  make(userId: number): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o711 });
    const { noDevices, noSetUserId, noExecute, noSymbolicLinks, shared } = MOUNT;
    const flags = noDevices | noSetUserId;
    this.#calls.mount({ source: "tmpfs", target: this.folder, type: "tmpfs", flags, data: SIZE });
    // What is mounted in it from now on is mounted in its copies as well, and a sandbox has one.
    this.#calls.mount({ target: this.folder, flags: shared });
    for (const folder of [this.run, this.code, this.bundle]) mkdirSync(folder, { mode: 0o700 });
    const data = `${RUN_SIZE},uid=${userId},gid=${userId}`;
    // A link in the place of the socket would take us to any socket of the host.
    const runFlags = flags | noExecute | noSymbolicLinks;
    this.#calls.mount({ source: "tmpfs", target: this.run, type: "tmpfs", flags: runFlags, data });
  }

  configure(config: unknown): void {
    writeFileSync(join(this.bundle, "config.json"), JSON.stringify(config));
  }

  /** A read-only mount stays one in its copies. */
  show(readOnlyView: string): void {
    if (statSync(this.code).dev !== statSync(this.folder).dev) return;
    this.#calls.mount({ source: readOnlyView, target: this.code, flags: MOUNT.bind });
  }

  remove(): void {
    for (const mounted of [this.code, this.run, this.folder]) this.#calls.unmount(mounted);
    removeMountPoint(this.folder);
  }
}

/**
 * Read-only views of bundles: a mount that is made read-only after it was copied into a sandbox would be writable there.
 *
 * Owns: the mounts in `folder`. Invariant: a view is there as long as somebody may be shown it.
 */
export class BundleViews {
  readonly #calls: SystemCalls;
  readonly #folder: string;
  readonly #holders = new Map<string, number>();

  constructor(calls: SystemCalls, folder: string) {
    this.#calls = calls;
    this.#folder = folder;
  }

  /** What an earlier agent left: what sandboxes were shown of it stays with them. */
  open(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#folder)) this.#remove(name);
  }

  hold(name: string, bundle: string): string {
    const view = join(this.#folder, name);
    const holders = this.#holders.get(name) ?? 0;
    if (holders === 0) {
      mkdirSync(view, { recursive: true });
      const { bind, remount, readOnly, noSetUserId, noDevices } = MOUNT;
      this.#calls.mount({ source: bundle, target: view, flags: bind });
      try {
        this.#calls.mount({ target: view, flags: remount | bind | readOnly | noSetUserId | noDevices });
      } catch (error) {
        // Nobody is to be shown what can be written.
        this.#remove(name);
        throw error;
      }
    }
    this.#holders.set(name, holders + 1);
    return view;
  }

  release(name: string): void {
    const holders = (this.#holders.get(name) ?? 1) - 1;
    if (holders > 0) {
      this.#holders.set(name, holders);
      return;
    }
    this.#holders.delete(name);
    this.#remove(name);
  }

  #remove(name: string): void {
    const view = join(this.#folder, name);
    this.#calls.unmount(view);
    removeMountPoint(view);
  }
}

/** Never with what is in it: that is somebody's who is still mounted there. */
export function removeMountPoint(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
