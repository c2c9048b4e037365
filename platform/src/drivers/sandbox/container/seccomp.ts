import { arch } from "node:os";

/**
 * Which system calls code in a sandbox may make, as the OCI runtime specification has it (linux.seccomp). An allow-list: what is
 * not named does not exist for the sandbox (ENOSYS, so that a C library falls back to an older call), and what is known to be
 * asked for and not granted is refused (EPERM), so that programs say what they were denied.
 *
 * Left out on purpose: everything about mounts and namespaces, tracing and reading other processes, keys, BPF, performance
 * counters, modules, clocks, quotas, io_uring, userfaultfd, NUMA policy, file handles, what tells of others' use of files or
 * spoils it (and writing out the host's disks), and sockets but Unix, TCP, UDP and route netlink: of others the kernel counts no
 * memory, or loads modules for them. And inotify, of which there are 128 for all sandboxes and the host's root together.
 */
export interface Seccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

interface SeccompRule {
  readonly names: readonly string[];
  readonly action: "SCMP_ACT_ALLOW" | "SCMP_ACT_ERRNO";
  readonly errnoRet?: number;
  readonly args?: readonly { index: number; value: number; valueTwo?: number; op: string }[];
}

const EPERM = 1;
const ENOSYS = 38;
/** CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET, from <linux/sched.h>. */
const NEW_NAMESPACES = 0x7e020000;
/**
 * Commands of fcntl, from <linux/fcntl.h>: copies, flags, locks and signals of descriptors, and those of pipes and of files in memory.
 * Not leases and notices (F_SETLEASE, F_NOTIFY), which make others wait or tell of what they do, nor hints to disks.
 */
const FCNTL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 36, 37, 38, 1030, 1031, 1032, 1033, 1034];
/** POSIX_FADV_NORMAL to WILLNEED, and NOREUSE. With DONTNEED (4) whoever may read a file takes its pages from all who use it. */
const ADVICE = [0, 1, 2, 3, 5];
/** All flags of preadv2 but HIPRI, DSYNC, SYNC and APPEND: NOWAIT tells what others read, DONTCACHE takes the pages away after. */
const STRANGE_READS = 0xffffffe8;
const AF_UNIX = 1;
/** AF_INET, AF_INET6. */
const INTERNET = [2, 10];
/** The one that fits the type, TCP, UDP. */
const PROTOCOLS = [0, 6, 17];
const AF_NETLINK = 16;
const NETLINK_ROUTE = 0;
/** PER_LINUX, PER_LINUX with ADDR_NO_RANDOMIZE off and on, and asking which it is. */
const PERSONALITIES = [0, 0x0008, 0x20000, 0x20008, 0xffffffff];

const FILES = `access faccessat faccessat2 open openat openat2 creat close close_range read readv pread64 preadv write writev
  pwrite64 pwritev lseek stat lstat fstat newfstatat statx statfs fstatfs getdents getdents64 readlink readlinkat
  link linkat symlink symlinkat unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir mknod mknodat truncate ftruncate
  fallocate readahead fsync fdatasync syncfs sync_file_range chdir fchdir getcwd chmod fchmod fchmodat fchmodat2
  chown fchown lchown fchownat umask utime utimes utimensat futimesat dup dup2 dup3 flock ioctl copy_file_range sendfile
  splice tee vmsplice getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr setxattr lsetxattr fsetxattr removexattr
  lremovexattr fremovexattr memfd_create`;
const MEMORY = `brk mmap mprotect munmap mremap madvise mincore msync mlock mlock2 mlockall munlock munlockall
  membarrier pkey_alloc pkey_free pkey_mprotect remap_file_pages process_madvise map_shadow_stack`;
const PROCESSES = `execve execveat exit exit_group fork vfork wait4 waitid kill tkill tgkill getpid getppid gettid getpgid getpgrp setpgid
  getsid setsid getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid setresgid
  setfsuid setfsgid setgroups capget capset prctl arch_prctl set_tid_address set_robust_list get_robust_list rseq
  getpriority setpriority sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam sched_getscheduler
  sched_setscheduler sched_getattr sched_setattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval getrlimit
  setrlimit prlimit64 getrusage times getcpu pidfd_open pidfd_send_signal ioprio_get ioprio_set seccomp landlock_create_ruleset
  landlock_add_rule landlock_restrict_self`;
const SIGNALS = `rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigqueueinfo rt_tgsigqueueinfo rt_sigsuspend rt_sigtimedwait
  sigaltstack signalfd signalfd4 pause alarm restart_syscall`;
const WAITING = `futex futex_waitv futex_wake futex_wait futex_requeue poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl
  epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 pipe pipe2 timer_create timer_settime timer_gettime timer_getoverrun
  timer_delete timerfd_create timerfd_settime timerfd_gettime getitimer setitimer nanosleep clock_nanosleep clock_gettime
  clock_getres gettimeofday time`;
const SOCKETS = `bind connect listen accept accept4 getsockname getpeername getsockopt setsockopt shutdown sendto sendmsg
  sendmmsg recvfrom recvmsg recvmmsg`;
const SHARED = `shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open mq_unlink
  mq_timedsend mq_timedreceive mq_notify mq_getsetattr`;
const MACHINE = "uname sysinfo getrandom";

const DENIED = `mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr unshare setns ptrace
  process_vm_readv process_vm_writev kcmp pidfd_getfd keyctl add_key request_key bpf perf_event_open init_module finit_module
  delete_module kexec_load kexec_file_load reboot swapon swapoff syslog acct settimeofday clock_settime clock_adjtime adjtimex
  sethostname setdomainname open_by_handle_at name_to_handle_at iopl ioperm quotactl quotactl_fd userfaultfd vhangup
  fanotify_init fanotify_mark sync lookup_dcookie io_uring_setup io_uring_enter io_uring_register mbind set_mempolicy
  get_mempolicy inotify_init inotify_init1 inotify_add_watch inotify_rm_watch migrate_pages move_pages`;

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "SCMP_ARCH_X86_64", arm64: "SCMP_ARCH_AARCH64" };

const words = (text: string) => text.split(/\s+/).filter(Boolean);
const allow = (names: readonly string[], args?: SeccompRule["args"]): SeccompRule => ({
  names,
  action: "SCMP_ACT_ALLOW",
  ...(args !== undefined && { args }),
});
const equal = (index: number, value: number) => ({ index, value, op: "SCMP_CMP_EQ" });

const SYSCALLS: readonly SeccompRule[] = [
  allow([FILES, MEMORY, PROCESSES, SIGNALS, WAITING, SOCKETS, SHARED, MACHINE].flatMap(words)),
  // What is compared is the whole register, of which the kernel reads half: what may be is listed, since what may not has many spellings.
  ...FCNTL.map((command) => allow(["fcntl"], [equal(1, command)])),
  ...ADVICE.map((advice) => allow(["fadvise64"], [equal(3, advice)])),
  allow(["preadv2", "pwritev2"], [{ index: 5, value: STRANGE_READS, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }]),
  // Threads and processes, but no namespaces. Of clone3 no filter can see the flags: it does not exist here.
  allow(["clone"], [{ index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }]),
  // Of pairs too: the kernel makes the sockets, and loads a module for them, before it asks whether their family has pairs.
  allow(["socket", "socketpair"], [equal(0, AF_UNIX)]),
  ...INTERNET.flatMap((family) =>
    PROTOCOLS.map((protocol) => allow(["socket"], [equal(0, family), equal(2, protocol)])),
  ),
  allow(["socket"], [equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)]),
  ...PERSONALITIES.map((personality) => allow(["personality"], [equal(0, personality)])),
  { names: words(DENIED), action: "SCMP_ACT_ERRNO", errnoRet: EPERM },
];

export const SECCOMP: Seccomp = Object.freeze({
  defaultAction: "SCMP_ACT_ERRNO",
  defaultErrnoRet: ENOSYS,
  // Of this processor alone: its 32-bit calls have other numbers, and none of this would hold for them.
  architectures: [ARCHITECTURES[arch()] ?? "SCMP_ARCH_NATIVE"],
  syscalls: SYSCALLS,
});
