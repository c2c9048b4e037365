import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { InvocationRecord, LogLine } from "#contract/api/resources.ts";
import type { Role } from "#platform/main/supervisor.ts";
import { type Answer, type CallOptions, call } from "./http.ts";
import { processesOf, roleOf } from "./processes.ts";

export const CHECKOUT = fileURLToPath(new URL("../..", import.meta.url));
const LAUNCHER = join(CHECKOUT, "bin", "colibri");
const READY = "Ctrl-C stops everything.";
const START_MS = 30_000;
const STOP_MS = 20_000;
const POLL_MS = 20;

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface FunctionFolder {
  /** Of its entry in colibri.yaml. */
  readonly settings: Record<string, unknown>;
  /** Text by path. */
  readonly files: Record<string, string>;
}

export function node(code: string, settings: Record<string, unknown> = {}): FunctionFolder {
  return { settings: { runtime: "nodejs", handler: "index.mjs", ...settings }, files: { "index.mjs": code } };
}

export function python(code: string, settings: Record<string, unknown> = {}): FunctionFolder {
  return { settings: { runtime: "python", handler: "handler.py", ...settings }, files: { "handler.py": code } };
}

/** Waits until `probe` gives something. @throws saying what did not come about. */
export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  withinMs = 10_000,
): Promise<Exclude<T, undefined | false | null>> {
  const end = Date.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false && found !== null) return found as Exclude<T, undefined | false | null>;
    assert.ok(Date.now() < end, `not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A folder with a home and a working directory in it, and programs run there. */
export class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "colibri-e2e-"));
  readonly home: string;
  readonly work = join(this.folder, "work");
  readonly #environment: Record<string, string | undefined>;

  constructor(environment: Record<string, string> = {}) {
    mkdirSync(this.work);
    this.home = environment.COLIBRI_HOME ?? join(this.folder, "home");
    this.#environment = {
      ...process.env,
      NO_COLOR: "1",
      // What whoever runs the tests is logged in to is not for them.
      XDG_CONFIG_HOME: join(this.folder, "config"),
      COLIBRI_CONTEXT: "",
      // Else, run by npx, these tests would be told to type npx.
      npm_command: undefined,
      COLIBRI_HOME: this.home,
      COLIBRI_PORT: "0",
      COLIBRI_CONTROL_PORT: "0",
      // Sandboxes that wait for code are nobody's: tests count those that are somebody's.
      COLIBRI_POOL: "off",
      ...environment,
    };
  }

  spawn(args: readonly string[], cwd: string = this.work, environment = {}): ChildProcess {
    return this.spawnProgram(process.execPath, [LAUNCHER, ...args], cwd, environment);
  }

  spawnProgram(program: string, args: readonly string[], cwd: string, environment = {}): ChildProcess {
    return spawn(program, args, {
      cwd,
      env: { ...this.#environment, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** The command line, as in a shell. */
  colibri(...args: string[]): Promise<Ran> {
    return this.colibriWith({}, ...args);
  }

  colibriWith(environment: Record<string, string>, ...args: string[]): Promise<Ran> {
    return finish(this.spawnProgram(process.execPath, [LAUNCHER, ...args], this.work, environment));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Its exit code and all that it says. */
export async function finish(child: ChildProcess): Promise<Ran> {
  const [out, err, code] = await Promise.all([
    child.stdout!.toArray(),
    child.stderr!.toArray(),
    new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve)),
  ]);
  return { code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
}

/** Starts a platform in a temporary folder. @throws with what it said when it does not come up. */
export async function startPlatform(place: Place = new Place()): Promise<Platform> {
  const child = place.spawn(["serve"]);
  // Where the tests end before their time, nobody closes it.
  process.once("exit", () => child.kill("SIGTERM"));
  let said = "";
  let limit: NodeJS.Timeout | undefined;
  const banner = await new Promise<string>((resolve, reject) => {
    limit = setTimeout(() => {
      killAll(place.home);
      reject(new Error(`the platform is not ready within ${START_MS} ms; its log ends with\n${lastOfLog(place.home)}`));
    }, START_MS);
    const hear = (text: string) => {
      said += text;
      if (said.includes(READY)) resolve(said);
    };
    child.stdout!.setEncoding("utf8").on("data", hear);
    child.stderr!.setEncoding("utf8").on("data", hear);
    child.once("close", (code) => reject(new Error(`the platform ended with ${code} before it was ready: ${said}`)));
  }).finally(() => clearTimeout(limit));
  return new Platform(place, child, banner);
}

function lastOfLog(home: string): string {
  return readFileSync(join(home, "logs", "platform.ndjson"), "utf8").slice(-4_000);
}

/** A whole platform with a home of its own, started as a user would. */
export class Platform {
  readonly place: Place;
  readonly home: string;
  /** What was started: the launcher, which passes signals on to the supervisor. */
  readonly child: ChildProcess;
  readonly banner: string;
  /** The banner, and all that came after it. */
  said: string;
  readonly functionsUrl: string;
  readonly controlUrl: string;
  /** Its exit code. */
  readonly ended: Promise<number | null>;

  constructor(place: Place, child: ChildProcess, banner: string) {
    this.place = place;
    this.home = place.home;
    this.child = child;
    this.banner = banner;
    this.said = banner;
    child.stdout!.on("data", (text: string) => {
      this.said += text;
    });
    const addresses = JSON.parse(readFileSync(join(this.home, "run", "platform.json"), "utf8"));
    this.functionsUrl = addresses.functionsUrl;
    this.controlUrl = addresses.controlUrl;
    this.ended = new Promise((resolve) => child.once("close", resolve));
  }

  get token(): string {
    return readFileSync(join(this.home, "token"), "utf8").trim();
  }

  colibri(...args: string[]): Promise<Ran> {
    return this.place.colibri(...args);
  }

  /** Calls a function by `<app>/<function>[/path]`, or any path that begins with a slash. */
  call(path: string, options: CallOptions = {}): Promise<Answer> {
    return call(this.urlOf(path), options);
  }

  urlOf(path: string): string {
    return this.functionsUrl + (path.startsWith("/") ? path : `/fn/${path}`);
  }

  /** Control, with the admin token. */
  api(path: string, options: CallOptions = {}): Promise<Answer> {
    const headers = { authorization: `Bearer ${this.token}`, ...options.headers };
    return call(this.controlUrl + path, { ...options, headers });
  }

  /** Writes an app's folder anew. */
  writeApp(app: string, functions: Record<string, FunctionFolder>): string {
    const folder = join(this.place.work, app);
    rmSync(folder, { recursive: true, force: true });
    const settings = Object.entries(functions).map(([name, fn]) => [name, fn.settings]);
    write(join(folder, "colibri.yaml"), JSON.stringify({ app, functions: Object.fromEntries(settings) }, null, 2));
    for (const [name, { files }] of Object.entries(functions))
      for (const [path, text] of Object.entries(files)) write(join(folder, name, path), text);
    return folder;
  }

  tryDeploy(app: string, functions: Record<string, FunctionFolder>): Promise<Ran> {
    return this.colibri("deploy", this.writeApp(app, functions));
  }

  async deploy(app: string, functions: Record<string, FunctionFolder>): Promise<void> {
    const { code, out, err } = await this.tryDeploy(app, functions);
    assert.equal(code, 0, `deploying ${app}: ${out}${err}`);
  }

  /** Log lines so far, of one invocation where it is named. */
  async logs(fn: string, invocation?: string): Promise<LogLine[]> {
    const [app, name] = fn.split("/");
    const query = invocation === undefined ? "tail=100000" : `invocation=${invocation}`;
    const { text } = await this.api(`/v1/tenants/default/apps/${app}/functions/${name}/logs?${query}`);
    const lines = text.split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line));
  }

  /** The record of an invocation, as soon as it is there. */
  record(fn: string, invocation: string): Promise<InvocationRecord> {
    const [app, name] = fn.split("/");
    const path = `/v1/tenants/default/apps/${app}/functions/${name}/invocations/${invocation}`;
    return until(`a record of invocation ${invocation}`, async () => {
      const { status, json } = await this.api(path);
      return status === 200 ? (json as InvocationRecord) : undefined;
    });
  }

  /** @throws when the role does not run now. */
  pidOf(role: Role | "supervisor"): number {
    const found = roleOf(this.home, role);
    assert.ok(found, `no process runs ${role}`);
    return found.pid;
  }

  /** Stops it and removes its folder. @throws when it leaves a process behind, and kills that. */
  async close(): Promise<void> {
    try {
      await this.stop();
    } finally {
      this.place.remove();
    }
  }

  /** Its home stays. @throws like close. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => killAll(this.home), STOP_MS);
    this.child.kill("SIGTERM");
    if (this.child.exitCode === null && this.child.signalCode === null) await this.ended;
    clearTimeout(timer);
    const left = processesOf(this.home);
    killAll(this.home);
    assert.deepEqual(left, [], "the platform left processes behind");
  }
}

/** For what a failed test leaves. */
function killAll(home: string): void {
  for (const { pid } of processesOf(home)) signal(pid, "SIGKILL");
}

/** False when there is no such process. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ESRCH");
    return false;
  }
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
