import { mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { PlatformError } from "#contract/errors.ts";
import type { Cgroup, CgroupLimits, Cgroups } from "./cgroups.ts";
import { codeOf, isGone, nestedGroups } from "./control-files.ts";
import type { Flavour, Folders } from "./flavour.ts";
import { ControlGroup, distinctFolders, tryRemoveOne } from "./group.ts";
import type { CgroupVersion, Controller, Layout } from "./inspect.ts";

export interface TreeOptions {
  readonly version: CgroupVersion;
  readonly layout: Layout;
  readonly flavour: Flavour;
  readonly parent: string;
}

/** Another platform on this machine may remove an empty group above ours at the moment we want to make one in it. */
const MAKE_ATTEMPTS = 5;
/** Never `.` or `..`, and never out of the parent. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** @throws PlatformError unavailable when the kernel does not let the parent be made, or its groups be limited. */
export function openTree(deps: { clock: Clock; log: Log }, options: TreeOptions): Cgroups {
  const tree = new Tree(deps, options);
  try {
    tree.makeParent();
    return tree;
  } catch (error) {
    tree.removeParent();
    throw error;
  }
}

/** Of all sandboxes together: to the kernel they are one beside every process of the host, and would starve on a busy one. */
const PARENT_WEIGHT = Math.min(10_000, 100 * availableParallelism());

/** The groups below one parent. Keeps nothing in memory. */
class Tree implements Cgroups {
  readonly version: CgroupVersion;
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #options: TreeOptions;
  /** From the root down to the parent: "", "colibri", "colibri/3f2a". */
  readonly #levels: readonly string[];

  constructor(deps: { clock: Clock; log: Log }, options: TreeOptions) {
    const names = options.parent.split("/");
    for (const name of names) assert(NAME.test(name), `${options.parent} is no path of control groups`);
    this.version = options.version;
    this.#deps = deps;
    this.#options = options;
    this.#levels = ["", ...names.map((_, index) => names.slice(0, index + 1).join("/"))];
  }

  makeParent(): void {
    for (let attempt = 1; ; attempt++) {
      try {
        return this.#makeLevels();
      } catch (error) {
        if (!isGone((error as PlatformError).cause) || attempt === MAKE_ATTEMPTS) throw error;
      }
    }
  }

  removeParent(): void {
    const upwards = this.#levels.slice(1).reverse();
    // A group that is not empty is somebody's, and is kept.
    for (const root of this.#options.layout.all) for (const level of upwards) tryRemoveOne(join(root, level));
  }

  #makeLevels(): void {
    const { flavour } = this.#options;
    for (const level of this.#levels) {
      const folders = this.#foldersOf(level);
      if (level !== "") for (const folder of distinctFolders(folders)) makeAbove(folder);
      flavour.allowNested(folders);
      if (level !== "") flavour.setWeight(folders, PARENT_WEIGHT);
    }
  }

  async create(id: string, limits: CgroupLimits): Promise<Cgroup> {
    const made: string[] = [];
    try {
      for (const folder of distinctFolders(this.#foldersOf(this.#pathOf(id)))) {
        this.#make(folder);
        made.push(folder);
      }
      this.#options.flavour.setLimits(this.#foldersOf(this.#pathOf(id)), limits);
      return this.find(id);
    } catch (error) {
      for (const folder of made) tryRemoveOne(folder);
      throw error;
    }
  }

  find(id: string): Cgroup {
    const path = this.#pathOf(id);
    const { flavour, layout } = this.#options;
    const everywhere = layout.all.map((root) => join(root, path));
    return new ControlGroup(this.#deps, { id, path: `/${path}`, flavour, folders: this.#foldersOf(path), everywhere });
  }

  async list(): Promise<string[]> {
    const { layout, parent } = this.#options;
    return [...new Set(layout.all.flatMap((root) => nestedGroups(join(root, parent))))].sort();
  }

  async close(): Promise<void> {
    this.removeParent();
  }

  #make(folder: string): void {
    for (let attempt = 1; ; attempt++) {
      try {
        return void mkdirSync(folder);
      } catch (error) {
        if (codeOf(error) !== "ENOENT" || attempt === MAKE_ATTEMPTS) throw notMade(folder, error);
      }
      this.makeParent();
    }
  }

  #pathOf(id: string): string {
    assert(NAME.test(id), `${id} is no name of a control group`);
    return `${this.#options.parent}/${id}`;
  }

  #foldersOf(path: string): Folders {
    const { roots } = this.#options.layout;
    const at = (controller: Controller) => join(roots[controller], path);
    return { memory: at("memory"), cpu: at("cpu"), pids: at("pids"), freezer: at("freezer") };
  }
}

function makeAbove(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw notMade(folder, error);
  }
}

function notMade(folder: string, cause: unknown): PlatformError {
  if (codeOf(cause) === "EEXIST") {
    return new PlatformError("conflict", `there is a control group ${folder} already: remove it first`, { cause });
  }
  const why = (cause as Error).message;
  return new PlatformError("unavailable", `the control group ${folder} can't be made: ${why}`, { cause });
}
