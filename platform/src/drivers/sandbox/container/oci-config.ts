import { existsSync } from "node:fs";
import { join } from "node:path";
import type { OciRuntime } from "./oci-runtime.ts";
import { SECCOMP } from "./seccomp.ts";

/** Inside of every sandbox. */
export const INSIDE = Object.freeze({
  /** The guest's working directory, with its socket. */
  run: "/run/colibri",
  /** Where a bundle appears. */
  code: "/code",
  /** Where a guest sees which of its processes were killed for want of memory. */
  oomKills: "/run/oom-kills",
  tmp: "/tmp",
  /** Where a bundle is unpacked that is sent as bytes. */
  unpacked: "/tmp/code",
  userId: 1_000,
});

/** How many ids a sandbox has, of which the guest is one. */
export const IDS_PER_SANDBOX = 65_536;

export interface OciOptions {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Absolute, read-only, of this runtime. */
  readonly rootFolder: string;
  /** On the host, mounted into the sandbox at INSIDE.run and, late, at INSIDE.code. */
  readonly runFolder: string;
  readonly codeFolder: string;
  /** On the host, the /dev of sandboxes. */
  readonly devicesFolder: string;
  /** The first of the sandbox's ids on the host; undefined where the runtime has a kernel, with users and devices, of its own. */
  readonly firstId: number | undefined;
  /** Of a network namespace that was made before; undefined for one with nothing in it. */
  readonly networkPath: string | undefined;
  /** On the host, of its own cgroup. */
  readonly oomFile: string | undefined;
  readonly cgroupPath: string;
  readonly masksWith: OciRuntime["masksWith"];
  readonly memoryMiB: number;
}

const MASKED_FOLDERS = "acpi asound bus fs scsi pressure";
const MASKED_FILES = `interrupts softirqs misc kallsyms kcore keys latency_stats timer_list timer_stats sched_debug sysrq-trigger slabinfo
  vmallocinfo pagetypeinfo iomem ioports config.gz modules version_signature kmsg cmdline key-users partitions diskstats mtrr`;
const SHOWN_READ_ONLY = "irq sys";
const OPEN_FILES = 4_096;
/** All sandboxes together have what the host's root may have, about 100,000. */
const PENDING_SIGNALS = 1_024;
/** In 64ths of the memory. */
const TMP_SHARE = 32;
const SHARED_MEMORY_MIB = 16;
const TMP_FILES = 65_536;
/** On a host without memory the sandboxes go first. */
export const OOM_SCORE = 500;

/** config.json of the OCI runtime specification 1.0.2: everything that a sandbox is shut in by, but for its cgroup. */
export function ociConfig(options: OciOptions) {
  const { command, environment, rootFolder, firstId, networkPath, cgroupPath } = options;
  const ids = firstId === undefined ? [] : [{ containerID: 0, hostID: firstId, size: IDS_PER_SANDBOX }];
  const none: string[] = [];
  return {
    ociVersion: "1.0.2",
    process: {
      terminal: false,
      user: { uid: INSIDE.userId, gid: INSIDE.userId },
      args: command,
      env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      cwd: INSIDE.run,
      capabilities: { bounding: none, effective: none, permitted: none, inheritable: none, ambient: none },
      rlimits: [
        limit("NOFILE", OPEN_FILES),
        limit("SIGPENDING", PENDING_SIGNALS),
        limit("CORE", 0),
        limit("MEMLOCK", 64 * 1024),
        limit("MSGQUEUE", 64 * 1024),
      ],
      noNewPrivileges: true,
      oomScoreAdj: OOM_SCORE,
    },
    root: { path: rootFolder, readonly: true },
    hostname: "sandbox",
    mounts: mounts(options),
    linux: {
      namespaces: [
        ...["pid", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
        { type: "network", ...(networkPath !== undefined && { path: networkPath }) },
        ...(firstId === undefined ? [] : [{ type: "user" }]),
      ],
      ...(firstId !== undefined && { uidMappings: ids, gidMappings: ids }),
      // So that the bundle, mounted on the host after the start, is seen in here; nothing gets out.
      rootfsPropagation: "rslave",
      cgroupsPath: cgroupPath,
      seccomp: SECCOMP,
      maskedPaths: paths("/proc", masksFiles(options) ? MASKED_FOLDERS : `${MASKED_FOLDERS} ${MASKED_FILES}`),
      readonlyPaths: paths("/proc", SHOWN_READ_ONLY),
    },
  };
}

/** Here, not by the runtime. */
function masksFiles({ masksWith }: OciOptions): boolean {
  return masksWith === "host";
}

function mounts(options: OciOptions) {
  const { runFolder, codeFolder, devicesFolder, oomFile, firstId, memoryMiB } = options;
  const tmpMiB = Math.ceil((memoryMiB * TMP_SHARE) / 64);
  const safe = ["nosuid", "nodev"];
  const tmpfs = (destination: string, ...more: string[]) => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: [...safe, ...more],
  });
  return [
    { destination: "/proc", type: "proc", source: "proc", options: [...safe, "noexec"] },
    // Of one that is bound the runtimes leave as it is what else they would mount from the host's.
    ...(firstId === undefined
      ? []
      : [{ destination: "/dev", type: "bind", source: devicesFolder, options: ["bind", "ro", "nosuid", "noexec"] }]),
    ...(masksFiles(options) ? masks(join(devicesFolder, "null")) : []),
    ...(oomFile === undefined ? [] : [shown(oomFile, INSIDE.oomKills)]),
    tmpfs("/dev/shm", "noexec", "mode=1777", `size=${SHARED_MEMORY_MIB}m`, `nr_inodes=${TMP_FILES}`),
    tmpfs(INSIDE.tmp, "mode=1777", `size=${tmpMiB}m`, `nr_inodes=${TMP_FILES}`),
    { destination: INSIDE.run, type: "bind", source: runFolder, options: ["bind", "rw", ...safe, "noexec"] },
    { destination: INSIDE.code, type: "bind", source: codeFolder, options: ["rbind", "rslave", "ro", ...safe] },
  ];
}

function masks(nothing: string) {
  return paths("/proc", MASKED_FILES)
    .filter((path) => existsSync(path))
    .map((destination) => ({
      destination,
      type: "bind",
      source: nothing,
      options: ["bind", "ro", "nosuid", "noexec"],
    }));
}

function shown(source: string, destination: string) {
  return { destination, type: "bind", source, options: ["bind", "ro", "nosuid", "nodev", "noexec"] };
}

function limit(name: string, value: number) {
  return { type: `RLIMIT_${name}`, hard: value, soft: value };
}

function paths(folder: string, names: string): string[] {
  return names
    .split(/\s+/)
    .filter(Boolean)
    .map((name) => `${folder}/${name}`);
}
