import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { MOUNT, type SystemCalls } from "#base/system-calls.ts";
import type { RuntimeLaunch } from "#ports/sandbox/index.ts";
import { checkImages, type ImageFolders, imageFor, isInImage, mountImage, tryProgram } from "./image-root.ts";
import { NAMESERVER } from "./network/table.ts";
import { INSIDE } from "./oci-config.ts";
import { removeMountPoint } from "./place.ts";
import { type ShowDeps, showReadOnly } from "./shared-files.ts";

/** What programs need beside the runtime's own files, and what says nothing about this host or its users. */
const SHOWN = ["/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/share/zoneinfo"];
const CERTIFICATES = [
  "/etc/ssl/certs",
  "/usr/share/ca-certificates",
  "/usr/local/share/ca-certificates",
  "/etc/pki/tls/certs",
];
const LINKER_CACHE = "/etc/ld.so.cache";
/** In the root, links into /usr or folders of their own. */
const TOP = ["bin", "sbin", "lib", "lib32", "lib64"];
const FOLDERS = ["/proc", "/sys", "/dev", "/etc", INSIDE.tmp, "/run", INSIDE.run, INSIDE.code, "/var"];
/** Packages that the host installed for itself are no part of a runtime. */
const HOST_PACKAGES = ["/usr/lib/python3/dist-packages", "/usr/lib/node_modules", "/usr/share/nodejs"];
/** Beside the root of an image: our own folder on top of it. */
const TOP_OF_IMAGE = ".top";
const READ_ONLY = MOUNT.readOnly | MOUNT.noSetUserId | MOUNT.noDevices;

/**
 * The roots of sandboxes, one for each runtime: a small folder in memory with the host's runtime files shown read-only, an /etc
 * of our own, and nothing else of the host. Or, where a folder of an image is named, that one (image-root.ts).
 *
 * Owns: `folder` and the mounts below it, in this process's own mount table. They are private, so that removing them here takes
 * nothing from sandboxes that run.
 */
export class RootFileSystems {
  readonly #calls: SystemCalls;
  readonly #folder: string;
  readonly #images: ImageFolders;
  readonly #show: ShowDeps;
  readonly #made = new Map<string, Promise<string>>();

  constructor(calls: SystemCalls, folder: string, images: ImageFolders) {
    this.#calls = calls;
    this.#folder = folder;
    this.#images = images;
    this.#show = { calls, workFolder: `${folder}.work` };
  }

  /** Without those of an earlier agent. @throws PlatformError when a folder of an image can't be used. */
  open(): void {
    checkImages(this.#images);
    mkdirSync(this.#folder, { recursive: true, mode: 0o711 });
    for (const name of readdirSync(this.#folder)) this.#remove(join(this.#folder, name));
  }

  /** Absolute; made when it is first asked for. @throws PlatformError when the runtime does not run in the image. */
  of(runtime: RuntimeLaunch): Promise<string> {
    let made = this.#made.get(runtime.name);
    if (made === undefined) {
      made = this.#make(runtime);
      this.#made.set(runtime.name, made);
      // Whoever mends the image need not start anew.
      made.catch(() => this.#made.delete(runtime.name));
    }
    return made;
  }

  async #make(runtime: RuntimeLaunch): Promise<string> {
    const folder = join(this.#folder, runtime.name);
    const top = `${folder}${TOP_OF_IMAGE}`;
    const image = imageFor(this.#images, runtime.name);
    try {
      if (image === undefined) make(this.#show, folder, runtime);
      else {
        const program = makeFromImage(this.#show, { folder, top, image }, runtime);
        await tryProgram(image, folder, program);
      }
      return folder;
    } catch (error) {
      this.#remove(folder);
      this.#remove(top);
      throw error;
    }
  }

  #remove(folder: string): void {
    // Ours, and nothing is mounted there.
    if (folder.endsWith(TOP_OF_IMAGE)) return rmSync(folder, { recursive: true, force: true });
    this.#calls.unmount(folder);
    removeMountPoint(folder);
  }
}

function make(deps: ShowDeps, folder: string, runtime: RuntimeLaunch): void {
  const { calls } = deps;
  mkdirSync(folder, { mode: 0o755 });
  const data = "size=1m,nr_inodes=1024,mode=755";
  calls.mount({ source: "tmpfs", target: folder, type: "tmpfs", flags: MOUNT.noSetUserId | MOUNT.noDevices, data });
  makePlaces(folder);
  mkdirSync(join(folder, "/usr/sbin"), { recursive: true });
  for (const path of [...SHOWN, ...CERTIFICATES, LINKER_CACHE].filter((path) => existsSync(path)))
    show(deps, path, join(folder, path));
  for (const [path, inside] of Object.entries(runtime.files?.shows ?? {}))
    if (!isShown(inside)) show(deps, path, join(folder, inside));
  for (const name of TOP) showTop(deps, folder, name);
  for (const path of [...HOST_PACKAGES, ...(runtime.files?.hides ?? [])]) hide(calls, join(folder, path));
  calls.mount({ target: folder, flags: MOUNT.remount | MOUNT.bind | READ_ONLY });
}

/** The program of the runtime in there: the image's own where it has one, with its library, else the host's. */
function makeFromImage(
  deps: ShowDeps,
  { folder, top, image }: { folder: string; top: string; image: string },
  runtime: RuntimeLaunch,
): string {
  const { calls } = deps;
  const { shows = {}, hides = [] } = runtime.files ?? {};
  const [program = ""] = runtime.command;
  const inside = shows[program] ?? program;
  const isImages = isInImage(image, inside);
  const shown = Object.entries(shows).filter(([path, target]) => path !== target || !isImages);
  mkdirSync(folder, { mode: 0o755 });
  mkdirSync(top, { mode: 0o755 });
  makePlaces(top);
  for (const [path, target] of shown) makeMountPoint(path, join(top, target));
  mountImage(calls, image, top, folder);
  for (const [path, target] of shown) showReadOnly(deps, path, join(folder, target));
  if (!isImages) for (const path of hides) hide(calls, join(folder, path));
  return inside;
}

/** With an empty folder over it. */
function hide(calls: SystemCalls, path: string): void {
  if (!existsSync(path)) return;
  const flags = READ_ONLY | MOUNT.noExecute;
  calls.mount({ source: "tmpfs", target: path, type: "tmpfs", flags, data: "size=4k,nr_inodes=2,mode=555" });
}

function show(deps: ShowDeps, source: string, target: string): void {
  makeMountPoint(source, target);
  showReadOnly(deps, source, target);
}

function makeMountPoint(source: string, target: string): void {
  if (statSync(source).isDirectory()) return void mkdirSync(target, { recursive: true });
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, "");
}

/** /bin and its like are links on most systems. */
function showTop(deps: ShowDeps, folder: string, name: string): void {
  const path = `/${name}`;
  if (!existsSync(path)) return;
  if (lstatSync(path).isSymbolicLink()) symlinkSync(readlinkSync(path), join(folder, name));
  else if (name !== "sbin") show(deps, path, join(folder, name));
}

function isShown(path: string): boolean {
  return SHOWN.some((folder) => path.startsWith(`${folder}/`));
}

/** What an OCI runtime needs to be there, and can't make in a read-only root. */
function makePlaces(folder: string): void {
  for (const path of FOLDERS) mkdirSync(join(folder, path), { recursive: true });
  // Of which runc takes the mode for what it mounts there.
  chmodSync(join(folder, INSIDE.tmp), 0o1777);
  // Something is mounted there where processes can be killed alone.
  writeFileSync(join(folder, INSIDE.oomKills), "");
  writeEtc(join(folder, "etc"));
}

function writeEtc(etc: string): void {
  const { userId, tmp } = INSIDE;
  const files = {
    passwd: `root:x:0:0:root:/:/usr/sbin/nologin\nfunction:x:${userId}:${userId}:function:${tmp}:/bin/sh\n`,
    group: `root:x:0:\nfunction:x:${userId}:\n`,
    hosts: "127.0.0.1 localhost sandbox\n",
    "resolv.conf": `nameserver ${NAMESERVER}\noptions timeout:2 attempts:2\n`,
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "host.conf": "multi on\n",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(etc, name), text);
}
