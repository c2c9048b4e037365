import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { readControl, whyNotWritable } from "./control-files.ts";

/** Hybrid: the controllers are v1's, and there is an empty v2 tree beside them. */
export type CgroupVersion = "v1" | "v2" | "hybrid";

const CONTROLLERS = ["memory", "cpu", "pids", "freezer"] as const;
export type Controller = (typeof CONTROLLERS)[number];
export type ControllerState = "writable" | "not-writable" | "missing";

/** Where the groups of a machine are. */
export interface Layout {
  /** Root of the hierarchy that each controller is in. */
  readonly roots: Readonly<Record<Controller, string>>;
  /** Roots of all hierarchies, of other controllers too: an OCI runtime makes groups in every one. */
  readonly all: readonly string[];
}

export type CgroupsFound =
  | { readonly kind: "usable"; readonly version: CgroupVersion; readonly layout: Layout }
  | {
      readonly kind: "unusable";
      readonly version: CgroupVersion | "none";
      readonly controllers: Readonly<Record<Controller, ControllerState>>;
      readonly reason: string;
      readonly remedy: string;
    };

export interface InspectOptions {
  /** A v2 tree, or a folder with one hierarchy for each v1 controller. Default: what /proc/self/mountinfo says. */
  readonly root?: string | undefined;
  /** Default /proc. */
  readonly procFolder?: string | undefined;
}

interface Hierarchy {
  readonly kind: "v1" | "v2";
  readonly root: string;
  readonly controllers: readonly string[];
}

/** Looks, and changes nothing. */
export function inspectCgroups(options: InspectOptions = {}): CgroupsFound {
  const procFolder = options.procFolder ?? "/proc";
  const hierarchies = options.root === undefined ? mountedHierarchies(procFolder) : hierarchiesIn(options.root);
  const v1 = hierarchies.filter(({ kind }) => kind === "v1");
  // Mounted twice, it is still one tree.
  const v2 = hierarchies.filter(({ kind }) => kind === "v2").slice(0, 1);
  const all = [...v1, ...v2].map(({ root }) => root);
  const candidates: Candidate[] = [
    { version: v2.length > 0 ? "hybrid" : "v1", roots: rootsIn(v1) },
    { version: "v2", roots: rootsIn(v2) },
  ];
  const best = candidates.reduce((a, b) => (lacking(b).length < lacking(a).length ? b : a));
  if (hierarchies.length === 0) return noneMounted(procFolder);
  return isComplete(best.roots) ? judgeWritable(best.version, best.roots, all) : someMissing(best, procFolder);
}

type Roots = Partial<Record<Controller, string>>;
interface Candidate {
  readonly version: CgroupVersion;
  readonly roots: Roots;
}

function lacking({ roots }: Candidate): Controller[] {
  return CONTROLLERS.filter((controller) => roots[controller] === undefined);
}

function isComplete(roots: Roots): roots is Record<Controller, string> {
  return CONTROLLERS.every((controller) => roots[controller] !== undefined);
}

function rootsIn(hierarchies: readonly Hierarchy[]): Roots {
  const roots: Roots = {};
  for (const { root, controllers } of hierarchies)
    for (const controller of CONTROLLERS) if (controllers.includes(controller)) roots[controller] ??= root;
  return roots;
}

function judgeWritable(version: CgroupVersion, roots: Layout["roots"], all: readonly string[]): CgroupsFound {
  const closed = CONTROLLERS.find((controller) => whyNotWritable(roots[controller]) !== undefined);
  if (closed === undefined) return { kind: "usable", version, layout: { roots, all } };
  const folder = roots[closed];
  const code = whyNotWritable(folder);
  const remedy =
    code === "EROFS"
      ? `mount ${folder} writable (in a container: privileged, in the host's cgroup namespace)`
      : "run as root, or where control groups are delegated to you";
  const reason = `no control groups can be made in ${folder} (${code})`;
  return { kind: "unusable", version, controllers: statesOf(roots), reason, remedy };
}

function someMissing({ version, roots }: Candidate, procFolder: string): CgroupsFound {
  const missing = lacking({ version, roots });
  const reason = `this machine's control groups (${version}) lack ${missing.join(", ")}`;
  const remedies = new Set(missing.map((controller) => missingRemedy(controller, version, procFolder)));
  return { kind: "unusable", version, controllers: statesOf(roots), reason, remedy: [...remedies].join("; ") };
}

function missingRemedy(controller: Controller, version: CgroupVersion, procFolder: string): string {
  const enabled = enabledInKernel(procFolder).get(controller);
  if (enabled === undefined) return `use a kernel that is built with the controller ${controller}`;
  if (!enabled) return `start the kernel with cgroup_enable=${controller}`;
  if (version === "v2") return "delegate all controllers to the group Colibri runs in (systemd: Delegate=yes)";
  return `mount -t cgroup -o ${controller} cgroup /sys/fs/cgroup/${controller}, or start the kernel for cgroup v2 alone`;
}

function noneMounted(procFolder: string): CgroupsFound {
  const isInKernel = /\tcgroup2?$/m.test(readProc(procFolder, "filesystems"));
  const remedy = isInKernel ? "mount -t cgroup2 cgroup2 /sys/fs/cgroup" : "use a kernel with CONFIG_CGROUPS";
  const reason = "this machine has no control groups mounted";
  return { kind: "unusable", version: "none", controllers: statesOf({}), reason, remedy };
}

function statesOf(roots: Roots): Record<Controller, ControllerState> {
  const state = (controller: Controller): ControllerState => {
    const root = roots[controller];
    if (root === undefined) return "missing";
    return whyNotWritable(root) === undefined ? "writable" : "not-writable";
  };
  return { memory: state("memory"), cpu: state("cpu"), pids: state("pids"), freezer: state("freezer") };
}

/** Mount points, in the form of proc_pid_mountinfo(5). */
function mountedHierarchies(procFolder: string): Hierarchy[] {
  const byPoint = new Map<string, Hierarchy | undefined>();
  for (const line of readProc(procFolder, "self/mountinfo").split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [type, , superOptions = ""] = after.split(" ");
    const point = (before.split(" ")[4] ?? "").replace(/\\([0-7]{3})/g, (_, octal) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    // Also what is no control group: a later mount hides an earlier one.
    byPoint.delete(point);
    byPoint.set(point, hierarchyAt(point, type, superOptions.split(",")));
  }
  return [...byPoint.values()].filter((hierarchy) => hierarchy !== undefined);
}

function hierarchyAt(root: string, type: string | undefined, controllers: readonly string[]): Hierarchy | undefined {
  if (type === "cgroup") return { kind: "v1", root, controllers };
  return type === "cgroup2" ? v2At(root) : undefined;
}

/** The freezer is no controller of v2, but part of every group but the root, since Linux 5.2. */
function v2At(root: string): Hierarchy {
  const controllers = (readControl(root, "cgroup.controllers") ?? "").split(" ").filter(Boolean);
  return { kind: "v2", root, controllers: [...controllers, "freezer"] };
}

function hierarchiesIn(root: string): Hierarchy[] {
  if (readControl(root, "cgroup.controllers") !== undefined) return [v2At(root)];
  const folders = new Map<string, Hierarchy>();
  for (const name of readdirSync(root)) {
    const folder = realpathSync(join(root, name));
    const isV2 = readControl(folder, "cgroup.controllers") !== undefined;
    folders.set(folder, isV2 ? v2At(folder) : { kind: "v1", root: folder, controllers: name.split(",") });
  }
  return [...folders.values()];
}

/** By controller; those that the kernel was not built with are not there. */
function enabledInKernel(procFolder: string): Map<string, boolean> {
  const rows = readProc(procFolder, "cgroups")
    .split("\n")
    .map((line) => line.split("\t"));
  return new Map(rows.map(([name = "", , , enabled]) => [name, enabled === "1"]));
}

/** Empty where the kernel has no such file. */
function readProc(procFolder: string, file: string): string {
  try {
    return readFileSync(join(procFolder, file), "utf8");
  } catch {
    return "";
  }
}
