/** What is said of settings that are taken: those that change what is in force, and those that are probably not meant so. */

import { closest } from "#contract/config/suggest.ts";
import { formatSize, SIZES } from "#contract/config/units.ts";
import { type Config, promisedMiB } from "./config.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface Doubt {
  readonly what: string;
  readonly remedy: string;
}

/** What is worth a line where it is set, beside what the banner says anyway. */
const SHOWN = ["COLIBRI_POOL", "COLIBRI_CAPACITY", "COLIBRI_ROOTFS", "COLIBRI_PLACEMENT"] as const;

const OWN = ["COLIBRI_HOME", "COLIBRI_BIND", "COLIBRI_PORT", "COLIBRI_CONTROL_PORT", "COLIBRI_SANDBOX"] as const;
const KNOWN = [
  ...SHOWN,
  ...OWN,
  ...["COLIBRI_OCI_RUNTIME", "COLIBRI_LOG_LEVEL", "COLIBRI_DEBUG"],
  // The command line's.
  ...["COLIBRI_URL", "COLIBRI_TOKEN", "COLIBRI_FUNCTIONS_URL", "COLIBRI_CONTEXT"],
];

/** Empty where all is as without any setting. */
export function settingsInForce(environment: Environment): string {
  return SHOWN.flatMap((name) => (environment[name] ? [`${name}=${environment[name]}`] : [])).join(" ");
}

/** @param machineMiB the machine's memory. */
export function doubtsOf(config: Config, environment: Environment, machineMiB: number): Doubt[] {
  return [...unknownVariables(environment), ...memoryDoubts(config, machineMiB), ...withoutEffect(config)];
}

function unknownVariables(environment: Environment): Doubt[] {
  const unknown = Object.keys(environment).filter((name) => name.startsWith("COLIBRI_") && !KNOWN.includes(name));
  return unknown.map((name) => {
    const meant = closest(name, KNOWN);
    const remedy = meant === undefined ? `unset ${name}` : `did you mean ${meant}?`;
    return { what: `${name} is no variable of Colibri's, and has no effect`, remedy };
  });
}

function memoryDoubts(config: Config, machineMiB: number): Doubt[] {
  const promised = promisedMiB(config, machineMiB);
  const waiting = (config.pools?.named ?? []).reduce((sum, { min, memoryMiB }) => sum + min * memoryMiB, 0);
  const doubts: Doubt[] = [];
  if (promised > machineMiB)
    doubts.push({
      what: `COLIBRI_CAPACITY promises sandboxes ${size(promised)}, and this machine has ${size(machineMiB)}`,
      remedy: "lower it, unless most of that is never used",
    });
  if (waiting > promised)
    doubts.push({
      what: `the minimums of COLIBRI_POOL take ${size(waiting)}, and all sandboxes together may be promised ${size(promised)}: they never fit`,
      remedy: "lower the minimums, or raise COLIBRI_CAPACITY",
    });
  return doubts;
}

function withoutEffect({ sandbox, ociRuntime, rootFolders }: Config): Doubt[] {
  if (sandbox !== "process") return [];
  const given = [
    ...(ociRuntime === undefined ? [] : ["COLIBRI_OCI_RUNTIME"]),
    ...(Object.keys(rootFolders).length === 0 ? [] : ["COLIBRI_ROOTFS"]),
  ];
  return given.map((name) => ({
    what: `${name} is for containers, and has no effect with COLIBRI_SANDBOX=process`,
    remedy: `unset ${name}, or COLIBRI_SANDBOX`,
  }));
}

/** Whole mebibytes below a gibibyte, and tenths above. */
function size(mebibytes: number): string {
  const rounded = mebibytes < 1_024 ? Math.round(mebibytes) * SIZES.MiB! : 0;
  return rounded > 0 ? formatSize(rounded) : `${Math.round(mebibytes / 102.4) / 10}GiB`;
}
