import type { ChildProcess } from "node:child_process";
import { mkdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import {
  GUEST_FRAMES,
  type GuestFailed,
  type GuestInvoke,
  type GuestLoad,
  guestFailed,
  guestLog,
  type Thrown,
} from "#contract/guest/link.ts";
import { type Frame, FrameError } from "#contract/link/frame.ts";
import { parseJson } from "#contract/shape.ts";
import type { Connection } from "./connection.ts";
import { dial } from "./dialer.ts";
import { LastWords } from "./last-words.ts";
import type { LogQueue } from "./log-queue.ts";
import { wasKilledForMemory } from "./oom-kills.ts";

/** What a child's invocation is told. */
export interface ChildInvocation {
  readonly head: GuestInvoke;
  /** The child has taken it: user code may run. */
  accepted(): void;
  /** HEAD, DATA, END or WINDOW. @throws when the child breaks the contract. */
  relay(frame: Frame): void;
  /** The child did not take it. */
  refused(): void;
}

export interface ChildDeps {
  readonly logs: LogQueue;
  /** Its process has ended, all it said was heard, and its folder is gone. */
  readonly gone: (child: Child) => void;
}

/** What user code did wrong while a child was loaded or initialised; the child has logged it. */
export class ChildFailure extends Error {
  readonly code: GuestFailed["code"];

  constructor(code: GuestFailed["code"], thrown: Thrown) {
    super(thrown.message);
    this.name = thrown.name;
    this.stack = thrown.stack ?? "";
    this.code = code;
  }
}

/** Sockets and pipes of a process that has ended are read to their end; a grandchild may hold a pipe open. */
const HEARD_MS = 250;
const OWNER = "front";

/**
 * One slot of `execution: process`: a process that is a guest of its own, with one slot, in a folder of its own.
 *
 * Owns: the process, its folder, a control and a data stream to it. Invariants: 1. at most one invocation runs in it; 2. `gone` is
 * told once; 3. nothing that it sends is trusted: what breaks the contract kills it.
 */
export class Child {
  /** How it ended; undefined while it runs. */
  end: string | undefined;
  /** What that means to its invocation. */
  endCode: "function-exited" | "out-of-memory" = "function-exited";
  /** It has been initialised once. */
  wasReady = false;
  readonly #deps: ChildDeps;
  readonly #folder: string;
  #memoryMiB = 0;
  readonly #process: ChildProcess;
  readonly #words = new LastWords();
  readonly #abort = new AbortController();
  readonly #closings: Promise<void>[] = [];
  #control: Promise<Connection>;
  #data: Connection | undefined;
  #answer: PromiseWithResolvers<void> | undefined;
  #phase: "load" | "init" = "load";
  #welcomed = Promise.withResolvers<void>();
  #stream = 0;
  #current: ChildInvocation | undefined;
  /** What it did to be ended. */
  #breach: string | undefined;

  constructor(deps: ChildDeps, folder: string, environment: NodeJS.ProcessEnv) {
    this.#deps = deps;
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    this.#process = startProcess(folder, environment);
    this.#welcomed.promise.catch(() => {});
    this.#process.once("error", (error) => void this.#ended(`could not be started: ${error.message}`));
    this.#process.once("exit", (code, signal) => {
      if (signal === "SIGKILL" && wasKilledForMemory()) this.endCode = "out-of-memory";
      void this.#ended(signal === null ? `exited with code ${code}` : `was killed by ${signal}`);
    });
    this.#readStandardError();
    this.#control = this.#dial("control", (frame) => this.#onControl(frame));
    this.#control.catch(() => {});
  }

  /** Loads the function. @throws ChildFailure */
  load(load: GuestLoad): Promise<void> {
    this.#memoryMiB = load.memoryMiB;
    return this.#ask("load", GUEST_FRAMES.LOAD, load);
  }

  /** Runs `init` and makes it ready for invocations. @throws ChildFailure; it may be asked again then */
  async init(timeoutMs: number): Promise<void> {
    await this.#ask("init", GUEST_FRAMES.INIT, { timeoutMs });
    this.#data ??= await this.#dial("data", (frame) => this.#onData(frame));
    this.#data.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify({ owner: OWNER, epoch: 1 }), null);
    await this.#welcomed.promise;
    this.wasReady = true;
  }

  /** `text`: the head of INVOKE. */
  invoke(invocation: ChildInvocation, text: string, flags: number, body: Buffer): void {
    this.#current = invocation;
    this.#data!.send(GUEST_FRAMES.INVOKE, flags, ++this.#stream, text, body);
  }

  /** Of the current invocation. */
  send(type: number, flags: number, head: string, body: Buffer | null): void {
    this.#data!.send(type, flags, this.#stream, head, body);
  }

  /** Its invocation is over. */
  release(): void {
    this.#current = undefined;
  }

  drain(graceMs: number): void {
    this.#control.then(
      (control) => control.send(GUEST_FRAMES.DRAIN, 0, 0, JSON.stringify({ graceMs }), null),
      () => this.kill(),
    );
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  async #ask(phase: "load" | "init", type: number, head: object): Promise<void> {
    this.#phase = phase;
    this.#answer = Promise.withResolvers<void>();
    const { promise } = this.#answer;
    promise.catch(() => {});
    if (this.end !== undefined) this.#failAnswer();
    this.#control.then(
      (control) => control.send(type, 0, 0, JSON.stringify(head), null),
      () => this.kill(),
    );
    await promise;
  }

  async #dial(kind: "control" | "data", receive: (frame: Frame) => void): Promise<Connection> {
    const closed = Promise.withResolvers<void>();
    const handlers = {
      frame: receive,
      broken: (error: unknown) => {
        this.#breach ??= (error as Error).message;
      },
      closed: () => {
        closed.resolve();
        // Without its streams it is of no use.
        this.kill();
      },
    };
    const connection = await dial(join(this.#folder, "guest.sock"), kind, handlers, this.#abort.signal);
    this.#closings.push(closed.promise);
    return connection;
  }

  #onControl(frame: Frame): void {
    switch (frame.type) {
      case GUEST_FRAMES.HELLO:
      case GUEST_FRAMES.PONG:
        break;
      case GUEST_FRAMES.LOADED:
      case GUEST_FRAMES.READY:
        this.#answer?.resolve();
        break;
      case GUEST_FRAMES.FAILED: {
        const { code, error } = parseJson(guestFailed, frame.head, "FAILED");
        this.#answer?.reject(new ChildFailure(code, error));
        break;
      }
      case GUEST_FRAMES.LOG:
        this.#deps.logs.relay(parseJson(guestLog, frame.head, "LOG"));
        break;
      default:
        throw new FrameError(`a frame of type ${frame.type} on a control stream`);
    }
  }

  #onData(frame: Frame): void {
    if (frame.type === GUEST_FRAMES.HELLO && frame.stream === 0) {
      this.#welcomed.resolve();
      return;
    }
    const current = this.#current;
    if (frame.stream !== this.#stream) throw new FrameError(`a frame on stream ${frame.stream}`);
    // What is over may still be spoken of: WINDOW for a body that nobody reads any more.
    if (current === undefined) return;
    switch (frame.type) {
      case GUEST_FRAMES.ACCEPTED:
        current.accepted();
        break;
      case GUEST_FRAMES.MISROUTED:
        current.refused();
        break;
      case GUEST_FRAMES.HEAD:
      case GUEST_FRAMES.DATA:
      case GUEST_FRAMES.END:
      case GUEST_FRAMES.WINDOW:
        current.relay(frame);
        break;
      default:
        throw new FrameError(`a frame of type ${frame.type} on a data stream`);
    }
  }

  /** Its raw standard error goes where ours goes, and its end says how it ended. */
  #readStandardError(): void {
    const stderr = this.#process.stderr!;
    const closed = Promise.withResolvers<void>();
    stderr.on("data", (chunk: Buffer) => {
      this.#words.add(chunk.toString());
      try {
        writeSync(2, chunk);
      } catch {
        // Nobody reads it.
      }
    });
    stderr.on("error", () => {});
    stderr.once("close", () => closed.resolve());
    this.#closings.push(closed.promise);
  }

  async #ended(how: string): Promise<void> {
    this.#abort.abort(new Error(`the function's process ${how}`));
    const timer = new Promise<void>((resolve) => setTimeout(resolve, HEARD_MS));
    await Promise.race([Promise.all(this.#closings), timer]);
    if (this.end !== undefined) return;
    const line = this.#breach === undefined ? this.#words.line : `it broke the guest link: ${this.#breach}`;
    this.end =
      this.endCode === "out-of-memory"
        ? `out of memory at ${this.#memoryMiB} MiB`
        : `the function's process ${how}${line === undefined ? "" : `: ${line}`}`;
    rmSync(this.#folder, { recursive: true, force: true });
    this.#failAnswer();
    this.#welcomed.reject(new ChildFailure("init-failed", { name: "Error", message: this.end }));
    this.#deps.gone(this);
  }

  #failAnswer(): void {
    const code = this.#phase === "load" ? "load-failed" : "init-failed";
    this.#answer?.reject(new ChildFailure(code, { name: "Error", message: this.end! }));
  }
}

/** The program that runs here, again. Its standard output is ours. */
function startProcess(folder: string, environment: NodeJS.ProcessEnv): ChildProcess {
  // Not imported: guests that need no processes do without it.
  const { spawn } = process.getBuiltinModule("node:child_process");
  return spawn(process.execPath, [...process.execArgv, process.argv[1]!], {
    cwd: folder,
    env: environment,
    stdio: ["ignore", "inherit", "pipe"],
  });
}
