import { accessSync, constants, existsSync, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { tryPort } from "#base/port.ts";
import { count } from "#contract/count.ts";
import type { Health, Runtime } from "#sdk/node/client.ts";
import { Client } from "../client/client.ts";
import { type Connection, findConnection } from "../connection/connection.ts";
import { lockHolder } from "../connection/home.ts";
import { CliError, EXIT } from "../failure.ts";
import { showBytes } from "../output/units.ts";
import type { Surroundings } from "../surroundings.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const GIB = 1024 ** 3;
const LOW_DISK = GIB;
const NO_DISK = 100 * 1024 * 1024;
const ANSWER_MS = 3_000;

/** Home, disk, and the platform or the ports that it would take. */
export async function checkPlace(surroundings: Surroundings, containersWork: boolean): Promise<Finding[]> {
  const connection = findConnection(surroundings);
  const { home } = connection;
  const origin = { COLIBRI_HOME: "from COLIBRI_HOME", found: "found", default: "will be made" }[home.from];
  return [
    checkHome(home.path, origin),
    checkDisk(home.path),
    ...(await checkPlatform(surroundings, connection, containersWork)),
  ];
}

function checkHome(path: string, origin: string): Finding {
  const detail = `${path} (${origin})`;
  const remedy = "Set COLIBRI_HOME to a folder that you may write in.";
  const there = existing(path);
  if (!statSync(there).isDirectory()) return fail("home", `${there} is not a folder`, remedy);
  try {
    accessSync(there, constants.W_OK | constants.X_OK);
    return ok("home", detail);
  } catch {
    return fail("home", `${detail}: ${there} can't be written`, remedy);
  }
}

function checkDisk(path: string): Finding {
  const { bavail, bsize } = statfsSync(existing(path));
  const free = bavail * bsize;
  const detail = `${showBytes(free)} free for the home`;
  const remedy = "Bundles and logs need room: free some, or set COLIBRI_HOME to another disk.";
  if (free < NO_DISK) return fail("disk", detail, remedy);
  return free < LOW_DISK ? warn("disk", detail, remedy) : ok("disk", detail);
}

/** The path itself, or the nearest folder above that is there. */
function existing(path: string): string {
  let there = path;
  while (!existsSync(there) && there !== dirname(there)) there = dirname(there);
  return there;
}

async function checkPlatform(
  surroundings: Surroundings,
  connection: Connection,
  containersWork: boolean,
): Promise<Finding[]> {
  try {
    const client = new Client(connection, "default");
    const health = await client.health(ANSWER_MS);
    return [
      ...healthFindings(health, connection),
      ...wallFindings(health, connection.origin === "home" ? containersWork : "elsewhere"),
      ...runtimeFindings(await client.runtimes()),
    ];
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    if (error.exit !== EXIT.unreachable) return [warn("platform", error.message, error.hints.join(" "))];
    if (connection.origin !== "home")
      return [fail("platform", error.message, `Start it there, or correct ${connection.control.from}.`)];
    if (lockHolder(connection.home) !== undefined) return [fail("platform", error.message, error.hints.join(" "))];
    return [ok("platform", "not running; start it with `npm start`"), ...(await checkPorts(surroundings.env))];
  }
}

export function healthFindings(health: Health, { control }: Pick<Connection, "control">): Finding[] {
  const { technology, isolation, detail: by } = health.sandbox;
  const walls = isolation === "none" ? "no isolation" : by || isolation;
  const detail = `${health.version} runs at ${control.value}, sandbox ${technology} (${walls})`;
  const away = health.roles.filter(({ state }) => state === "away").map(({ role, since }) => `${role} since ${since}`);
  const dropped = Object.entries(health.dropped).filter(([, number]) => number > 0);
  const findings: Finding[] = [];
  if (away.length === 0 && (health.status === "ok" || health.storage.length > 0)) findings.push(ok("platform", detail));
  else
    findings.push(
      fail(
        "platform",
        `${detail}; away: ${away.join(", ") || "nothing, but degraded"}`,
        "See logs/platform.ndjson in its home.",
      ),
    );
  for (const { what, path, problem, remedy, since } of health.storage)
    findings.push(fail(what, `${path} can't be written since ${since}: ${problem}`, remedy));
  for (const [instance, number] of dropped)
    findings.push(
      warn("records", `${instance} could not keep ${count(number, "item")}`, "Control was away or slow; see its log."),
    );
  return findings;
}

/** Of a platform that runs, whatever the settings here say. */
export function wallFindings({ sandbox }: Health, containersWork: boolean | "elsewhere"): Finding[] {
  if (sandbox.isolation !== "none") return [];
  const remedy =
    containersWork === "elsewhere"
      ? "Run `doctor` on its machine: it says how to have containers there."
      : containersWork
        ? "Containers work here: start it again as root, without COLIBRI_SANDBOX=process."
        : "See above what containers need here, then start it again.";
  return [warn("platform isolation", "it runs functions without walls: only for code you trust", remedy)];
}

export function runtimeFindings(runtimes: readonly Runtime[]): Finding[] {
  return runtimes.map(({ name, version, available, detail }) => {
    const check = `runtime ${name}`;
    if (available) return ok(check, [version, detail].filter(Boolean).join(", "));
    return warn(check, "can't be used on this platform", detail);
  });
}

async function checkPorts(env: Surroundings["env"]): Promise<Finding[]> {
  const bind = env.COLIBRI_BIND || "127.0.0.1";
  return [
    ...(await checkPort(bind, env.COLIBRI_PORT || "8080", "COLIBRI_PORT", "functions")),
    ...(await checkPort(bind, env.COLIBRI_CONTROL_PORT || "8081", "COLIBRI_CONTROL_PORT", "control")),
  ];
}

async function checkPort(bind: string, text: string, variable: string, use: string): Promise<Finding[]> {
  const check = `port ${text}`;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  // What is no port is said of the settings.
  if (!(port <= 65_535)) return [];
  const refused = await refusalOf(port, bind);
  if (refused === undefined) return [ok(check, `free, for ${use}`)];
  const [what, remedy] =
    refused === "EADDRINUSE"
      ? [`taken by another program, needed for ${use}`, `End that program, or set ${variable} to a free port.`]
      : [`can't be opened on ${bind} (${refused})`, `Set ${variable} or COLIBRI_BIND to what this user may open.`];
  return [fail(check, what, remedy)];
}

function refusalOf(port: number, bind: string): Promise<string | undefined> {
  return tryPort(bind, port).then(
    (found) => (found === undefined ? "EADDRINUSE" : undefined),
    ({ code, message }: NodeJS.ErrnoException) => code ?? message,
  );
}
