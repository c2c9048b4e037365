import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { availableParallelism, freemem, platform, release, totalmem } from "node:os";
import { inspectCgroups } from "#platform/main/sandbox-choice.ts";
import { showBytes } from "../output/units.ts";
import { type Finding, fail, info, ok, warn } from "./finding.ts";

const MIB = 1024 * 1024;
/** The idle platform takes up to 300 MiB, a sandbox 128 unless told otherwise. */
const NEEDED_MIB = 512;
const OPEN_FILES = 4_096;

/** A file of the kernel's, or undefined; doctor is given another root by its tests. */
export type ReadKernelFile = (path: string) => string | undefined;

export const readKernelFile: ReadKernelFile = (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

export function checkMachine(read: ReadKernelFile): Finding[] {
  return [
    checkSystem(platform(), release()),
    ok("cores", String(availableParallelism())),
    checkMemory(read),
    checkOpenFiles(read),
    checkCgroups(),
    checkUserNamespaces(read),
    checkKvm(),
  ];
}

export function checkSystem(system: string, kernel: string): Finding {
  if (system === "linux") return ok("kernel", `Linux ${kernel}`);
  return fail("kernel", `${system} ${kernel}`, "Colibri runs functions on Linux: use a Linux machine or a VM.");
}

/** What is free now, within the limit of the control group that this runs in. */
export function checkMemory(read: ReadKernelFile): Finding {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(read("/proc/meminfo") ?? "")?.[1];
  const limit = Number(read("/sys/fs/cgroup/memory.max")?.trim() || "max");
  const total = Math.min(totalmem(), Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit);
  const free = Math.min(available === undefined ? freemem() : Number(available) * 1024, total);
  const detail = `${showBytes(free)} free of ${showBytes(total)}`;
  if (free >= NEEDED_MIB * MIB) return ok("memory", detail);
  return warn(
    "memory",
    detail,
    `Have ${NEEDED_MIB} MiB free, more for many sandboxes: end other programs or add memory.`,
  );
}

export function checkOpenFiles(read: ReadKernelFile): Finding {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(read("/proc/self/limits") ?? "")?.[1];
  if (limit === undefined) return info("open files", "limit unknown");
  if (limit === "unlimited" || Number(limit) >= OPEN_FILES) return ok("open files", `up to ${limit}`);
  return warn("open files", `up to ${limit}`, `Many sandboxes need more: ulimit -Hn ${OPEN_FILES}`);
}

const CGROUPS: Readonly<Record<string, string>> = {
  hybrid: "hybrid: the controllers of v1, and a tree of v2 beside them",
  none: "none mounted",
};

function checkCgroups(): Finding {
  const { version } = inspectCgroups();
  return info("cgroups", CGROUPS[version] ?? version);
}

export function checkUserNamespaces(read: ReadKernelFile): Finding {
  const maximum = Number(read("/proc/sys/user/max_user_namespaces") ?? 0);
  const allowed = read("/proc/sys/kernel/unprivileged_userns_clone")?.trim() !== "0";
  const restricted = read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")?.trim() === "1";
  if (maximum > 0 && allowed && !restricted) return info("user namespaces", "available");
  return info("user namespaces", maximum > 0 ? "for root only" : "not available");
}

function checkKvm(): Finding {
  const path = "/dev/kvm";
  if (!existsSync(path)) return info("KVM", `${path} is not there`);
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return info("KVM", `${path} can be used`);
  } catch {
    return info("KVM", `${path} is there, but this user may not use it`);
  }
}
