/**
 * The system calls that Node lacks, for the roles that make sandboxes. The library behind them is loaded when first asked for:
 * most processes never need it.
 *
 * Calls run on the main thread, and so change what its children inherit: a mount namespace entered here is the one that every
 * process started from now on lives in. They block for microseconds.
 */
import { getSystemErrorMap } from "node:util";

export interface SystemCalls {
  /** mount(2). @throws SystemCallError */
  mount(mount: MountCall): void;
  /** umount2(2) with MNT_DETACH. False when nothing is mounted there. @throws SystemCallError */
  unmount(target: string): boolean;
  /** unshare(2) with CLONE_NEWNS: a copy of the mount table, for this thread and all it starts. @throws SystemCallError */
  unshareMounts(): void;
  /** prctl(2) PR_SET_CHILD_SUBREAPER: orphans among our descendants become our children. @throws SystemCallError */
  becomeSubreaper(): void;
  /** waitpid(2) with WNOHANG for one child. Undefined while it runs, `lost` when it is no child of ours. */
  reap(pid: number): ReapedExit | "lost" | undefined;
  /** waitid(2) with WNOWAIT: some child that has ended and was not reaped. */
  ended(): number | undefined;
  /** Sends netfilter one message (netlink(7), NETLINK_NETFILTER) and gives its first answer. @throws SystemCallError */
  askNetfilter(message: Uint8Array): Buffer;
}

export interface MountCall {
  /** Such as a folder to bind, or `tmpfs`. */
  readonly source?: string;
  readonly target: string;
  readonly type?: string;
  /** Sum of MOUNT flags. */
  readonly flags: number;
  /** The file system's own options. */
  readonly data?: string;
}

export interface ReapedExit {
  readonly code: number | null;
  /** Its number; names are in os.constants.signals. */
  readonly signal: number | null;
}

/** From <sys/mount.h>. */
export const MOUNT = Object.freeze({
  readOnly: 1,
  noSetUserId: 2,
  noDevices: 4,
  noExecute: 8,
  remount: 32,
  /** From Linux 5.10; older kernels ignore it. */
  noSymbolicLinks: 256,
  bind: 4096,
  recursive: 16_384,
  private: 1 << 18,
  slave: 1 << 19,
  shared: 1 << 20,
});

const CLONE_NEWNS = 0x20000;
const MNT_DETACH = 2;
const WNOHANG = 1;
const WEXITED = 4;
const WNOWAIT = 0x01000000;
const P_ALL = 0;
/** siginfo_t, and where its si_pid is on 64-bit machines. */
const SIGINFO_BYTES = 128;
const SIGINFO_PID = 16;
const PR_SET_CHILD_SUBREAPER = 36;
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0x80000;
const NETLINK_NETFILTER = 12;
/** The kernel answers within the call that asks. */
const MSG_DONTWAIT = 64;
const LONGEST_ANSWER = 8_192;
const ENOENT = 2;
const EINTR = 4;
const EINVAL = 22;

/** A call that the kernel refused. `code` is such as EPERM. */
class SystemCallError extends Error {
  readonly code: string;

  constructor(call: string, errno: number) {
    const [code, text] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, "unknown"];
    super(`${call}: ${text} (${code})`);
    this.name = "SystemCallError";
    this.code = code;
  }
}

let loaded: Promise<SystemCalls> | undefined;

/** @throws Error where the library has no build for this machine. */
export function loadSystemCalls(): Promise<SystemCalls> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<SystemCalls> {
  const { default: koffi } = await import("koffi");
  const libc = koffi.load("libc.so.6");
  const mount = libc.func(
    "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)",
  );
  const umount2 = libc.func("int umount2(const char *target, int flags)");
  const unshare = libc.func("int unshare(int flags)");
  const prctl = libc.func("int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)");
  const waitpid = libc.func("int waitpid(int pid, _Out_ int *status, int options)");
  const waitid = libc.func("int waitid(int idtype, unsigned int id, void *info, int options)");
  const socket = libc.func("int socket(int domain, int type, int protocol)");
  const send = libc.func("long send(int socket, const uint8_t *bytes, unsigned long length, int flags)");
  const recv = libc.func("long recv(int socket, _Out_ uint8_t *bytes, unsigned long length, int flags)");
  const close = libc.func("int close(int descriptor)");
  const check = (call: string, result: number) => {
    if (result !== 0) throw new SystemCallError(call, koffi.errno());
  };
  const counted = (call: string, result: number): number => {
    if (result < 0) throw new SystemCallError(call, koffi.errno());
    return result;
  };
  return {
    mount({ source, target, type, flags, data }) {
      check(`mount ${target}`, mount(source ?? null, target, type ?? null, flags, data ?? null));
    },
    unmount(target) {
      if (umount2(target, MNT_DETACH) === 0) return true;
      const errno = koffi.errno();
      if (errno === EINVAL || errno === ENOENT) return false;
      throw new SystemCallError(`umount ${target}`, errno);
    },
    unshareMounts: () => check("unshare", unshare(CLONE_NEWNS)),
    becomeSubreaper: () => check("prctl", prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)),
    reap(pid) {
      const status = [0];
      const result = waitpid(pid, status, WNOHANG);
      if (result === 0 || (result < 0 && koffi.errno() === EINTR)) return undefined;
      return result < 0 ? "lost" : exitOf(status[0]!);
    },
    ended() {
      const info = Buffer.alloc(SIGINFO_BYTES);
      if (waitid(P_ALL, 0, info, WNOHANG | WEXITED | WNOWAIT) !== 0) return undefined;
      return info.readInt32LE(SIGINFO_PID) || undefined;
    },
    askNetfilter(message) {
      const link = counted("socket", socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_NETFILTER));
      try {
        counted("send", send(link, message, message.length, 0));
        const answer = Buffer.alloc(LONGEST_ANSWER);
        return answer.subarray(0, counted("recv", recv(link, answer, answer.length, MSG_DONTWAIT)));
      } finally {
        close(link);
      }
    },
  };
}

/** As <sys/wait.h> takes a status apart. */
function exitOf(status: number): ReapedExit {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff, signal: null } : { code: null, signal };
}
