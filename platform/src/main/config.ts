import { resolve } from "node:path";
import { LOG_LEVELS, type LogLevel } from "#base/log.ts";
import { memoryClassOf } from "#contract/config/memory-class.ts";
import { parseSize, SIZES } from "#contract/config/units.ts";
import { PlatformError } from "#contract/errors.ts";
import { type PlacementRules, parsePlacement } from "#domain/placement/sharing.ts";
import { type PoolRules, parsePoolRules } from "#domain/scaling/pool-rules.ts";

/** Whose sandboxes can wait in pools and have roots of their own. */
const RUNTIMES = ["nodejs", "python"] as const;
/** Of the machine's memory, what may be promised to sandboxes where nobody says otherwise. */
const PROMISED_SHARE = 0.8;
const SMALLEST_MIB = memoryClassOf(1);
const SANDBOX_CHOICES = ["auto", "process", "container", "microvm"] as const;
export type SandboxChoice = (typeof SANDBOX_CHOICES)[number];
export type SandboxTechnology = "process" | "container";

/** What an operator may set; resolved once, handed to every role as data. */
export interface Config {
  /** Where all state lives, absolute. */
  readonly home: string;
  readonly bind: string;
  /** Of functions, and of the control API. */
  readonly port: number;
  readonly controlPort: number;
  /** Resolved by `chooseSandbox` before roles are told. */
  readonly sandbox: SandboxChoice;
  /** By what it is made, such as `crun 1.8.1, cgroups hybrid`: resolved by `chooseSandbox`, empty before. */
  readonly sandboxDetail: string;
  /** A name or a path; undefined for the best there is. */
  readonly ociRuntime: string | undefined;
  /** Who shares no host with others. */
  readonly placement: PlacementRules;
  /** Of images, absolute, by the name of the runtime; `*` for all others. Without: the host's files. */
  readonly rootFolders: Readonly<Record<string, string>>;
  /** Undefined: as fits how sandboxes are isolated. */
  readonly pools: PoolRules | undefined;
  /** What sandboxes may be promised, all together; undefined: as the machine's memory allows. */
  readonly capacityMiB: number | undefined;
  readonly logLevel: LogLevel;
}

/** @throws PlatformError that names the variable, its value and what it takes. */
export function readConfig(environment: Readonly<Record<string, string | undefined>>, folder: string): Config {
  const value = (name: string, fallback: string) => environment[name] || fallback;
  return {
    home: resolve(folder, value("COLIBRI_HOME", ".colibri")),
    bind: value("COLIBRI_BIND", "127.0.0.1"),
    port: port("COLIBRI_PORT", value("COLIBRI_PORT", "8080")),
    controlPort: port("COLIBRI_CONTROL_PORT", value("COLIBRI_CONTROL_PORT", "8081")),
    sandbox: choice("COLIBRI_SANDBOX", value("COLIBRI_SANDBOX", "auto"), SANDBOX_CHOICES),
    sandboxDetail: "",
    ociRuntime: environment.COLIBRI_OCI_RUNTIME || undefined,
    placement: placement("COLIBRI_PLACEMENT", value("COLIBRI_PLACEMENT", "")),
    rootFolders: rootFolders("COLIBRI_ROOTFS", value("COLIBRI_ROOTFS", "")),
    pools: pools("COLIBRI_POOL", value("COLIBRI_POOL", "")),
    capacityMiB: capacityMiB("COLIBRI_CAPACITY", value("COLIBRI_CAPACITY", "")),
    logLevel: choice("COLIBRI_LOG_LEVEL", value("COLIBRI_LOG_LEVEL", "info"), LOG_LEVELS),
  };
}

function port(name: string, text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= 65_535) return number;
  throw new PlatformError(
    "request-invalid",
    `${name} is ${JSON.stringify(text)}: it takes a port from 1 to 65535, or 0 for a free one`,
  );
}

function placement(name: string, text: string): PlacementRules {
  if (text === "") return {};
  const parsed = parsePlacement(text);
  if (parsed.kind === "rules") return parsed.rules;
  throw new PlatformError("request-invalid", `${name} is ${JSON.stringify(text)}: ${parsed.message}`);
}

/** One folder for all, or `runtime=folder,…`. */
function rootFolders(name: string, text: string): Readonly<Record<string, string>> {
  if (text === "") return {};
  const pairs = text.startsWith("/") ? [["*", text] as const] : text.split(",").map(pair);
  if (pairs.every((found) => found !== undefined)) {
    const folders = Object.fromEntries(pairs);
    if (Object.keys(folders).length === pairs.length) return folders;
  }
  const right =
    "an absolute folder, or one for each runtime, such as nodejs=/srv/images/node,python=/srv/images/python";
  throw new PlatformError("request-invalid", `${name} is ${JSON.stringify(text)}: it takes ${right}`);
}

function pair(text: string): readonly [string, string] | undefined {
  const [, runtime, folder] = /^(nodejs|python|\*)=(\/.*)$/.exec(text.trim()) ?? [];
  return runtime === undefined || folder === undefined ? undefined : [runtime, folder];
}

function pools(name: string, text: string): PoolRules | undefined {
  if (text === "") return undefined;
  const parsed = parsePoolRules(text);
  const message = parsed.kind === "wrong" ? parsed.message : unknownRuntime(parsed.rules);
  if (parsed.kind === "rules" && message === undefined) return parsed.rules;
  throw new PlatformError("request-invalid", `${name} is ${JSON.stringify(text)}: ${message}`);
}

function unknownRuntime({ named }: PoolRules): string | undefined {
  const unknown = named.find(({ runtime }) => !RUNTIMES.some((name) => name === runtime));
  return unknown && `${JSON.stringify(unknown.runtime)} is no runtime: there are ${RUNTIMES.join(" and ")}`;
}

/** What all sandboxes of this host may be promised together. */
export function promisedMiB({ capacityMiB }: Pick<Config, "capacityMiB">, machineMiB: number): number {
  return capacityMiB ?? Math.floor(machineMiB * PROMISED_SHARE);
}

function capacityMiB(name: string, text: string): number | undefined {
  if (text === "") return undefined;
  const parsed = parseSize(text);
  const capacityMiB = parsed.kind === "quantity" ? Math.floor(parsed.value / SIZES.MiB!) : 0;
  if (capacityMiB >= SMALLEST_MIB) return capacityMiB;
  const message = parsed.kind === "wrong" ? parsed.message : `the smallest sandbox takes ${SMALLEST_MIB}MiB`;
  throw new PlatformError("request-invalid", `${name} is ${JSON.stringify(text)}: ${message}`);
}

function choice<T extends string>(name: string, text: string, choices: readonly T[]): T {
  const found = choices.find((candidate) => candidate === text);
  if (found !== undefined) return found;
  throw new PlatformError("request-invalid", `${name} is ${JSON.stringify(text)}: it takes ${choices.join(", ")}`);
}
