import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Link } from "#base/link/link.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import type { LinkKind } from "#contract/link/frame.ts";
import { DrivenControl, type LoadOptions } from "./driven-control.ts";
import { DrivenData } from "./driven-data.ts";
import { within } from "./limit.ts";

/** How a guest is started; its working directory is the sandbox folder. */
export interface GuestCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface GuestExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Files of a bundle by path. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A function given to a guest in a test: its files, its handler and what differs from the usual LOAD. */
export interface DrivenFunction {
  readonly handler: string;
  readonly files: Files;
}

/**
 * Plays the agent and the gateways to one guest process over its real socket, and holds the guest to the contract: every frame
 * from it is checked against its shape and order, and a breach closes that stream with an error that says which.
 *
 * Owns: the guest's process, its sandbox folder (removed by `stop`) and the streams dialed through it.
 */
export class GuestDriver {
  readonly folder: string;
  readonly child: ChildProcess;
  readonly exited: Promise<GuestExit>;
  readonly #network = createSocketNetwork();
  readonly #links = new Set<{ close(): void }>();
  #stderr = "";
  #stdout = "";

  private constructor(folder: string, child: ChildProcess) {
    this.folder = folder;
    this.child = child;
    this.exited = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
    child.stdout?.on("data", (chunk) => {
      this.#stdout += chunk;
    });
    child.stderr?.on("data", (chunk) => {
      this.#stderr += chunk;
    });
  }

  /** Starts the command in a new sandbox folder and waits until its socket answers. */
  static async start(command: GuestCommand): Promise<GuestDriver> {
    const folder = mkdtempSync(join(tmpdir(), "colibri-guest-"));
    mkdirSync(join(folder, "tmp"));
    const child = spawn(command.file, command.args, {
      cwd: folder,
      // A group of its own, as a sandbox has: processes of the guest end with it.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        HOME: join(folder, "tmp"),
        TMPDIR: join(folder, "tmp"),
        // Something of the platform that user code must not see.
        COLIBRI_SECRET: "of the platform",
        ...command.environment,
      },
    });
    const driver = new GuestDriver(folder, child);
    try {
      await driver.#listening();
    } catch (error) {
      await driver.stop();
      throw error;
    }
    return driver;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** What the process wrote to its own standard error and output, past the control stream. */
  get stderr(): string {
    return this.#stderr;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get socketPath(): string {
    return join(this.folder, "guest.sock");
  }

  /** Writes a bundle's files and returns their folder: the path of a `mount`. */
  writeFiles(files: Files, name = "bundle"): string {
    const root = join(this.folder, name);
    mkdirSync(root, { recursive: true });
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    return root;
  }

  async control(): Promise<DrivenControl> {
    const control = new DrivenControl();
    control.attach(await this.#dial("control", control));
    await within(control.greeted, "HELLO on the control stream");
    return control;
  }

  async data(options: { epoch?: number; owner?: string } = {}): Promise<DrivenData> {
    const data = new DrivenData();
    data.attach(await this.#dial("data", data), { owner: options.owner ?? "test", epoch: options.epoch ?? 1 });
    await within(data.greeted, "HELLO on the data stream");
    return data;
  }

  /** A whole start: control stream, LOAD of the function by mount, INIT, one data stream. */
  async ready(given: DrivenFunction, options: LoadOptions = {}): Promise<{ control: DrivenControl; data: DrivenData }> {
    const control = await this.control();
    const loaded = await control.load(given.handler, this.writeFiles(given.files), options);
    if (loaded.kind === "failed") throw new Error(`not loaded: ${JSON.stringify(loaded.failed)}`);
    const ready = await control.init();
    if (ready.kind === "failed") throw new Error(`not ready: ${JSON.stringify(ready.failed)}`);
    return { control, data: await this.data() };
  }

  /**
   * A bare connection that writes these bytes. `closed` is what the guest had sent by the time it closed; `received` what it has
   * sent so far.
   */
  raw(bytes: Uint8Array): {
    closed: Promise<Buffer>;
    received(): Buffer;
    write(bytes: Uint8Array): void;
    close(): void;
  } {
    const socket = connect({ path: this.socketPath });
    let received = Buffer.alloc(0);
    socket.on("data", (chunk) => {
      received = Buffer.concat([received, chunk]);
    });
    socket.on("error", () => {});
    const closed = new Promise<Buffer>((resolve) => socket.once("close", () => resolve(received)));
    socket.write(bytes);
    const handle = { close: () => socket.destroy() };
    this.#links.add(handle);
    return { closed, received: () => received, write: (more) => socket.write(more), close: handle.close };
  }

  /** A figure of the process, in KiB: `VmRSS` is memory now, `VmHWM` the most it ever was. */
  memoryKiB(field: "VmRSS" | "VmHWM"): number {
    const line = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${this.pid}/status`, "utf8"));
    return Number(line?.[1]);
  }

  async stop(): Promise<GuestExit> {
    for (const link of this.#links) link.close();
    killGroup(this.pid);
    const exit = await this.exited;
    rmSync(this.folder, { recursive: true, force: true });
    return exit;
  }

  async #dial(kind: LinkKind, handlers: DrivenControl | DrivenData): Promise<Link> {
    const link = await this.#network.dial(this.socketPath, kind, {
      frame: (frame) => handlers.receive(frame),
      close: (error) => handlers.ended(error),
    });
    this.#links.add(link);
    return link;
  }

  async #listening(): Promise<void> {
    let gone: GuestExit | undefined;
    void this.exited.then((exit) => {
      gone = exit;
    });
    const end = performance.now() + 10_000;
    while (!(await answers(this.socketPath))) {
      if (gone !== undefined) throw new Error(`the guest exited: ${JSON.stringify(gone)}: ${this.#stderr}`);
      if (performance.now() > end) throw new Error(`the guest did not listen within 10 s: ${this.#stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nothing of it is left.
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
