import type { GoneCause } from "#contract/agent/link.ts";
import type { Digest } from "#contract/digest.ts";
import type { GuestLoad } from "#contract/guest/link.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";

/**
 * The sandbox port: an isolated place in which one guest runs.
 *
 * A driver *starts* generic sandboxes: a guest of one runtime that listens and waits, holding no tenant's code and no secret.
 * Later the agent *delivers* one bundle into it, once, under the network policy of its app, and tells the guest (over the guest
 * link, which is not the driver's business) to load it. From then on the sandbox belongs to that revision until it is gone; it
 * never goes back.
 *
 * The agent may be killed at any moment. A sandbox outlives it: `start` gives a handle that is plain data and versioned, the
 * agent keeps it on disk, and after a restart `recover` turns it into the same sandbox again. What no handle names is
 * removed by `reap`.
 *
 * What a driver can't do it does not claim: `capabilities` says so as data, and calling what is not claimed is a bug.
 */
export interface SandboxDriver {
  /** Such as `process`, `container`, `simulated`. */
  readonly technology: string;
  readonly capabilities: SandboxCapabilities;
  /** Whether it works on this machine; `doctor` shows the answer. No side effects. */
  probe(): Promise<Probe>;
  /** @throws PlatformError `unavailable` when the machine can't. */
  open(signal: AbortSignal): Promise<void>;
  /** Works twice, and after a failed open. Sandboxes stay. */
  close(): Promise<void>;
  /** Resolves when the guest listens. @throws PlatformError `start-failed` or `no-capacity`; nothing is left behind then. */
  start(spec: SandboxSpec): Promise<Sandbox>;
  /** The same sandbox again, or undefined when it is gone. Removes what is left of it then. */
  recover(handle: SandboxHandle): Promise<Sandbox | undefined>;
  /**
   * Removes every sandbox of this home that is not in `keep`; answers how many there were. Once, after what is to be kept has
   * been recovered and before anything is started.
   */
  reap(keep: readonly SandboxHandle[]): Promise<number>;
  /**
   * Ends every sandbox that was started or recovered here, and removes what is left of it; nothing is started meanwhile. Needs
   * no other part of the platform: it is for when these are gone, and nobody will recover anything.
   */
  endAll(): Promise<void>;
}

export interface SandboxCapabilities {
  /** What separates sandboxes from the host and from each other. */
  readonly isolation: "none" | "container" | "microvm" | "simulated";
  readonly deliver: "mount" | "bytes";
  readonly freeze: boolean;
  /** Whether it holds sandboxes to network policies. Where not, `internet` is the only one it takes, and stands for any network. */
  readonly network: boolean;
  /** Limits that hold: `enforced` by the kernel, `watched` by looking now and then. */
  readonly limits: {
    readonly memory: "enforced" | "watched" | "none";
    readonly cpu: "enforced" | "none";
    readonly processes: "enforced" | "none";
  };
}

export type Probe =
  | { readonly works: true; readonly detail: string }
  | { readonly works: false; readonly reason: string; readonly remedy: string };

export interface SandboxSpec {
  /** Chosen by the agent, unique for ever. */
  readonly id: string;
  readonly runtime: RuntimeLaunch;
  readonly memoryMiB: number;
}

/** How a runtime's guest is started: found once, when the agent opens. */
export interface RuntimeLaunch {
  /** Such as `nodejs` or `python`. */
  readonly name: string;
  /** Absolute path and arguments; `{memoryMiB}` in an argument is replaced. The guest listens on `guest.sock` in its folder. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** For drivers that show sandboxes no more of the host than that; absolute. */
  readonly files?: {
    /** Files and folders it needs to run, by their path on the host, with the one they have in a sandbox. */
    readonly shows: Readonly<Record<string, string>>;
    /** Folders in there that are the host's own, and no part of the runtime. */
    readonly hides: readonly string[];
  };
}

export interface SandboxHandle {
  readonly version: 1;
  readonly technology: string;
  readonly id: string;
  readonly runtime: string;
  readonly memoryMiB: number;
  /** The driver's own, plain JSON. */
  readonly state: Readonly<Record<string, unknown>>;
}

export interface SandboxExit {
  readonly cause: GoneCause;
  /** Exit code or signal in words, for the log and the user: `exited with code 3`, `killed by SIGKILL`. */
  readonly detail: string;
  /** Perhaps it was not its own doing: a SIGKILL that was not ours, or an end that nobody saw. */
  readonly fromOutside?: true;
}

export interface Bundle {
  readonly digest: Digest;
  readonly bytes: number;
  /** Its unpacked, read-only copy on this host. */
  readonly folder: string;
  /** Its bytes, a plain tar, verified: for those who deliver bytes. @throws when they are not to be had any more. */
  read(): AsyncIterable<Uint8Array>;
}

export interface Sandbox {
  readonly id: string;
  readonly handle: SandboxHandle;
  /** Where the guest listens. */
  readonly address: string;
  /**
   * One bundle only; asked again with the same one, as after `recover`, it answers the same. What LOAD is to say about the code.
   * The policy is in force before any code is there; a sandbox that holds none has no more than `internet`.
   */
  deliver(bundle: Bundle, network: NetworkPolicy): Promise<GuestLoad["code"]>;
  /**
   * Another policy, in force when it resolves, also for connections that are open; the last one asked for stays, and is kept
   * over `recover`. Only where `network` is claimed.
   */
  restrict(network: NetworkPolicy): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Removes it with everything it holds; `gone` follows. Works twice. */
  kill(cause: GoneCause): Promise<void>;
  /** Settles when nothing of it is left. Never rejects. */
  readonly gone: Promise<SandboxExit>;
  /** What the guest process itself wrote, outside of any log frame: crashes, native code. At most one listener. */
  onOutput(listener: (stream: "stdout" | "stderr", text: string) => void): void;
  /** Memory in use now, in MiB; undefined when it can't be told. */
  memoryMiB(): Promise<number | undefined>;
}
