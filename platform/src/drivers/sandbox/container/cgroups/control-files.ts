import { accessSync, closeSync, constants, existsSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "#contract/errors.ts";

/** Never makes a file: one that is not there is one that this kernel does not have. */
const FLAG = constants.O_WRONLY | constants.O_TRUNC;

/** Takes microseconds: these files are the kernel's memory. @throws PlatformError unavailable */
export function writeControl(folder: string, file: string, value: string): void {
  try {
    writeWhole(join(folder, file), value);
  } catch (error) {
    const message = `the kernel refuses ${value} for ${file} of the control group ${folder}: ${whyRefused(error)}`;
    throw new PlatformError("unavailable", message, { cause: error });
  }
}

function writeWhole(path: string, value: string): void {
  const opened = openSync(path, FLAG);
  try {
    // In one call: the kernel takes each for a value.
    writeSync(opened, value);
  } finally {
    closeSync(opened);
  }
}

function whyRefused(error: unknown): string {
  switch (codeOf(error)) {
    case "ENOENT":
      return "there is no such file; the group is gone, or the kernel is too old";
    case "ENODEV":
      return "the group is gone";
    case "EINVAL":
      return "out of its range (EINVAL)";
    case "EBUSY":
      return "what is in use does not fit in it (EBUSY)";
    default:
      return (error as Error).message;
  }
}

/** Undefined when the group is gone, or this kernel has no such file. */
export function readControl(folder: string, file: string): string | undefined {
  try {
    return readFileSync(join(folder, file), "latin1").trim();
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** A line such as `oom_kill 3`. */
export function readField(text: string, name: string): number | undefined {
  const value = new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** Names of the groups in a group. */
export function nestedGroups(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** The group and all below it. */
export function* groupsOf(folder: string): Generator<string> {
  if (!existsSync(folder)) return;
  yield folder;
  for (const name of nestedGroups(folder)) yield* groupsOf(join(folder, name));
}

/** Undefined when groups can be made in it, else the system's code, such as EROFS. */
export function whyNotWritable(folder: string): string | undefined {
  try {
    accessSync(folder, constants.W_OK);
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

/** A group that is being removed says ENODEV to who holds its file open. */
export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENODEV";
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
