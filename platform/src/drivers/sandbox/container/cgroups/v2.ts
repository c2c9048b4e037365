/**
 * cgroup v2, after Documentation/admin-guide/cgroup-v2.rst of the kernel; see cgroups.ts for what of it has been exercised.
 *
 * memory.high stays at its default (none): above it processes are slowed without end, and a function that hangs tells its user
 * less than one that was killed for want of memory.
 */
import { PlatformError } from "#contract/errors.ts";
import { codeOf, readControl, readField, writeControl } from "./control-files.ts";
import { CPU_PERIOD_US, type Flavour, quotaUs, toBytes } from "./flavour.ts";

const CONTROLLERS = ["memory", "cpu", "pids"];

export const V2: Flavour = {
  setWeight({ cpu }, weight) {
    if (readControl(cpu, "cpu.weight") !== undefined) writeControl(cpu, "cpu.weight", String(weight));
  },

  allowNested({ memory: folder }) {
    const enabled = (readControl(folder, "cgroup.subtree_control") ?? "").split(" ");
    const missing = CONTROLLERS.filter((controller) => !enabled.includes(controller));
    if (missing.length > 0) enable(folder, missing);
  },
  setLimits({ memory: folder }, limits) {
    writeControl(folder, "memory.max", String(toBytes(limits.memoryMiB)));
    // Not there in a kernel without swap.
    if (readControl(folder, "memory.swap.max") !== undefined) writeControl(folder, "memory.swap.max", "0");
    // A guest without the child it waits for would only hang: all of a sandbox ends, or nothing of it.
    writeControl(folder, "memory.oom.group", "1");
    writeControl(folder, "pids.max", String(limits.pids));
    writeControl(folder, "cpu.weight", String(limits.cpuWeight));
    // A kernel without CFS bandwidth control has no such file: right as long as no ceiling is asked for.
    if (limits.cpus === undefined && readControl(folder, "cpu.max") === undefined) return;
    const quota = limits.cpus === undefined ? "max" : String(quotaUs(limits.cpus));
    writeControl(folder, "cpu.max", `${quota} ${CPU_PERIOD_US}`);
  },
  freezer: {
    file: "cgroup.freeze",
    freeze: "1",
    thaw: "0",
    isFrozen(folder) {
      const frozen = readField(readControl(folder, "cgroup.events") ?? "", "frozen");
      return frozen === undefined ? undefined : frozen === 1;
    },
  },
  usedBytes(folder) {
    const used = readControl(folder, "memory.current");
    const stat = readControl(folder, "memory.stat");
    if (used === undefined || stat === undefined) return undefined;
    return Math.max(0, Number(used) - (readField(stat, "inactive_file") ?? 0));
  },
  // Counts nested groups as well.
  oomKills: (folder) => readField(readControl(folder, "memory.events") ?? "", "oom_kill") ?? 0,
  oomFile: undefined,
  killFile: "cgroup.kill",
};

function enable(folder: string, controllers: readonly string[]): void {
  try {
    writeControl(folder, "cgroup.subtree_control", controllers.map((controller) => `+${controller}`).join(" "));
  } catch (error) {
    const { cause } = error as PlatformError;
    const remedy = enableRemedy(codeOf(cause));
    const message = `the controllers ${controllers.join(", ")} can't be enabled in ${folder}: ${remedy}`;
    throw new PlatformError("unavailable", message, { cause });
  }
}

function enableRemedy(code: string | undefined): string {
  switch (code) {
    case "EBUSY":
      return "processes are in that group itself; move them into a group below it (systemd: Delegate=yes, DelegateSubgroup=)";
    case "ENOENT":
      return "they are not handed down to it; enable them in the group above (systemd: Delegate=yes)";
    case "EINVAL":
      return "real-time processes are in groups (cpu) or the group is threaded; move them to the root group";
    case "EACCES":
    case "EPERM":
      return "permission is denied; run as root";
    default:
      return `the kernel says ${code}`;
  }
}
