"""Asks the kernel for what no function may have; tells what was granted. Each try is such that it does little where it works."""
import ctypes
import errno
import json
import os
import platform
import resource
import signal
import socket
import struct
import time

libc = ctypes.CDLL(None, use_errno=True)
X64, ARM64 = 0, 1
MACHINE = {"x86_64": X64, "aarch64": ARM64}[platform.machine()]
NUMBERS = {
    "clone": (56, 220), "clone3": (435, 435), "ptrace": (101, 117), "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "fsopen": (430, 430),
    "open_tree": (428, 428), "move_mount": (429, 429), "mount_setattr": (442, 442), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "swapon": (167, 224),
    "perf_event_open": (298, 241), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "reboot": (169, 142), "syslog": (103, 116), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "quotactl": (179, 60), "userfaultfd": (323, 282),
    "fanotify_init": (300, 262), "inotify_init1": (294, 26), "io_uring_setup": (425, 425), "mbind": (237, 235),
    "migrate_pages": (256, 238), "capset": (126, 91), "setuid": (105, 146), "setgid": (106, 144), "setgroups": (116, 159),
    "mknodat": (259, 33), "setpriority": (141, 140), "sched_setscheduler": (144, 119), "ioprio_set": (251, 30),
    "lookup_dcookie": (212, 18), "vhangup": (153, 58), "memfd_secret": (447, 447), "fcntl": (72, 25), "fadvise64": (221, 223),
    "preadv2": (327, 286), "cachestat": (451, 451), "sync": (162, 81),
}  # fmt: skip
NAMESPACES = {"user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x8000000, "uts": 0x4000000,
              "cgroup": 0x2000000, "time": 0x80}  # fmt: skip
# Files that the host shares with every sandbox.
SHARED_FOLDER, SHARED_FILE = "/usr/lib", "/usr/lib/os-release"
# The kernel reads the lower half of an int alone, a filter all of it.
UPPER_HALF = 1 << 32
granted, refusals = [], {}


def call(name, *args, number=None):
    result = libc.syscall(number or NUMBERS[name][MACHINE], *args)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def attempt(title, act, *args, **more):
    try:
        act(*args, **more)
        granted.append(title)
    except (OSError, ValueError) as error:
        refusals[title] = errno.errorcode.get(getattr(error, "errno", None), str(error))


def in_child(act):
    """So that what it changes for its process is not changed for the rest."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        raise OSError(abs(code), os.strerror(abs(code)))


def overwrite(path, text):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)


def cloned(number, *args):
    child = libc.syscall(number, *args)
    if child == 0:
        os._exit(0)
    if child < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.waitpid(child, 0)


def mounts():
    attempt("mount tmpfs", call, "mount", b"x", b"/tmp", b"tmpfs", 0, 0)
    attempt("mount proc", call, "mount", b"x", b"/tmp", b"proc", 0, 0)
    attempt("mount cgroup", call, "mount", b"x", b"/tmp", b"cgroup", 0, b"memory")
    attempt("mount cgroup2", call, "mount", b"x", b"/tmp", b"cgroup2", 0, 0)
    attempt("bind", call, "mount", b"/tmp", b"/var", 0, 4096, 0)
    attempt("remount root writable", call, "mount", b"x", b"/", 0, 4096 | 32, 0)
    attempt("share root", call, "mount", 0, b"/", 0, (1 << 20) | 16384, 0)
    attempt("umount", call, "umount2", b"/proc", 2)
    attempt("pivot_root", call, "pivot_root", b"/tmp", b"/tmp")
    attempt("chroot", in_child, lambda: call("chroot", b"/tmp"))
    attempt("fsopen", call, "fsopen", b"tmpfs", 0)
    attempt("open_tree", call, "open_tree", -100, b"/", 1)
    attempt("mount_setattr", call, "mount_setattr", -100, b"/", 0, ctypes.create_string_buffer(32), 32)


def namespaces():
    for name, flag in NAMESPACES.items():
        attempt(f"unshare {name}", in_child, lambda flag=flag: call("unshare", flag))
        if name != "time":
            attempt(f"clone {name}", cloned, NUMBERS["clone"][MACHINE], flag | 17, 0, 0, 0, 0)
        args = struct.pack("11Q", flag, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)
        attempt(f"clone3 {name}", cloned, NUMBERS["clone3"][MACHINE], args, len(args))
    for name in ("user", "mnt", "pid", "net", "uts", "ipc", "cgroup"):
        attempt(f"setns {name}", in_child, lambda name=name: call("setns", os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0))


def processes():
    attempt("ptrace", call, "ptrace", 16, 1, 0, 0)
    attempt("process_vm_readv", call, "process_vm_readv", 1, 0, 0, 0, 0, 0)
    attempt("process_vm_writev", call, "process_vm_writev", 1, 0, 0, 0, 0, 0)
    attempt("kcmp", call, "kcmp", 1, os.getpid(), 0, 0, 0)
    attempt("pidfd_getfd", lambda: call("pidfd_getfd", os.pidfd_open(1), 0, 0))
    attempt("fifo scheduler", call, "sched_setscheduler", 0, 1, struct.pack("i", 50))
    attempt("higher priority", call, "setpriority", 0, 0, -10)
    attempt("real-time disk", call, "ioprio_set", 1, 0, 1 << 13)
    attempt("later for the oom killer", overwrite, "/proc/self/oom_score_adj", b"499")
    for name in ("NOFILE", "CORE", "MEMLOCK", "MSGQUEUE", "SIGPENDING"):
        limit = getattr(resource, f"RLIMIT_{name}", 11)
        attempt(f"more of {name}", resource.setrlimit, limit, (1 << 30, 1 << 30))


def kernel():
    attempt("keyctl", call, "keyctl", 0, -3, 1)
    attempt("add_key", call, "add_key", b"user", b"x", b"x", 1, -3)
    attempt("request_key", call, "request_key", b"user", b"x", 0, -3)
    attempt("bpf", call, "bpf", 0, struct.pack("4I", 1, 4, 4, 4).ljust(128, b"\0"), 128)
    attributes = struct.pack("IIQ", 1, 128, 0).ljust(128, b"\0")
    attempt("perf_event_open", call, "perf_event_open", attributes, 0, -1, -1, 0)
    attempt("userfaultfd", call, "userfaultfd", 1)
    attempt("io_uring", call, "io_uring_setup", 8, ctypes.create_string_buffer(120))
    attempt("fanotify", call, "fanotify_init", 0, 0)
    attempt("inotify", call, "inotify_init1", 0)
    attempt("memfd_secret", call, "memfd_secret", 0)
    attempt("init_module", call, "init_module", b"", 0, b"")
    attempt("finit_module", call, "finit_module", 0, b"", 0)
    attempt("delete_module", call, "delete_module", b"nothing", 0)
    attempt("kexec", call, "kexec_load", 0, 0, 0, 0)
    attempt("reboot", call, "reboot", 0xFEE1DEAD, 672274793, 0, 0)
    attempt("kernel log", call, "syslog", 3, ctypes.create_string_buffer(64), 64)
    attempt("acct", call, "acct", b"/tmp/acct")
    attempt("swapon", call, "swapon", b"/tmp/swap", 0)
    attempt("quotactl", call, "quotactl", 0x80000100, 0, 0, 0)
    attempt("name_to_handle", call, "name_to_handle_at", -100, b"/", struct.pack("I", 128).ljust(256), struct.pack("I", 0), 0)
    attempt("open_by_handle", call, "open_by_handle_at", -100, struct.pack("Ii", 8, 1).ljust(64, b"\0"), 0)
    attempt("settimeofday", call, "settimeofday", struct.pack("qq", int(time.time()) + 3600, 0), 0)
    attempt("clock_settime", call, "clock_settime", 0, struct.pack("qq", int(time.time()) + 3600, 0))
    attempt("sethostname", call, "sethostname", b"attacked", 8)
    attempt("setdomainname", call, "setdomainname", b"attacked", 8)
    attempt("mbind", call, "mbind", 0, 0, 0, 0, 0, 0)
    if MACHINE == X64:
        attempt("iopl", call, "iopl", 3, number=172)
        attempt("ioperm", call, "ioperm", 0x70, 2, 1, number=173)
        # Calls by other numbers end whoever makes them.
        x32 = 0x40000000
        attempt("x32 mount", in_child, lambda: call("mount", b"x", b"/tmp", b"tmpfs", 0, 0, number=x32 | 165))


def shared_files():
    """What tells of others who use a file, slows them down, or takes the file's pages from them."""
    folder, file = os.open(SHARED_FOLDER, os.O_RDONLY | os.O_DIRECTORY), os.open(SHARED_FILE, os.O_RDONLY)
    own = os.open("/tmp/own", os.O_CREAT | os.O_RDONLY, 0o600)
    # It is told by this, which would end us.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    notify, set_lease, set_hint = 1026, 1024, 1036
    no_wait, do_not_cache = 8, 0x80
    buffer = ctypes.create_string_buffer(64)
    vector = struct.pack("PN", ctypes.addressof(buffer), 64)
    os.pread(file, 64, 0)
    for title, more in (("", 0), (", said the long way", UPPER_HALF)):
        attempt(f"notice of reads{title}", call, "fcntl", folder, ctypes.c_ulong(notify | more), 1)
        attempt(f"lease{title}", call, "fcntl", own, ctypes.c_ulong(set_lease | more), 0)
        attempt(f"hint{title}", call, "fcntl", own, ctypes.c_ulong(set_hint | more), struct.pack("Q", 1))
        attempt(f"read what is cached{title}", call, "preadv2", file, vector, 1, 0, 0, ctypes.c_ulong(no_wait | more))
        attempt(f"drop pages{title}", call, "fadvise64", file, 0, 0, ctypes.c_ulong(4 | more))
        attempt(f"read and drop{title}", call, "preadv2", file, vector, 1, 0, 0, ctypes.c_ulong(do_not_cache | more))
    attempt("sync", call, "sync")
    attempt("cachestat", call, "cachestat", file, struct.pack("QQ", 0, 4096), ctypes.create_string_buffer(40), 0)


def users():
    attempt("root", in_child, lambda: call("setuid", 0))
    attempt("root's group", in_child, lambda: call("setgid", 0))
    attempt("groups", in_child, lambda: call("setgroups", 1, struct.pack("I", 0)))
    header, all_of_them = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0xFFFFFFFF] * 6)
    attempt("capabilities", call, "capset", header, all_of_them)
    attempt("ambient capability", lambda: check(libc.prctl(47, 2, 21, 0, 0)))
    attempt("file capability", os.setxattr, planted(), "security.capability", struct.pack("<5I", 0x2000001, 1 << 21, 0, 0, 0))
    attempt("owner root", os.chown, planted(), 0, 0)
    attempt("owner of another", os.chown, planted(), 1001, 1001)
    for name, device in (("mem", (1, 1)), ("kmsg", (1, 11)), ("null", (1, 3)), ("disk", (254, 0))):
        kind = 0o60666 if name == "disk" else 0o20666
        attempt(f"mknod {name}", os.mknod, f"/tmp/{name}", kind, os.makedev(*device))
    for name in ("mem", "kmsg", "port", "kvm", "fuse", "vda", "sda", "net/tun", "loop0", "mapper/control"):
        attempt(f"open /dev/{name}", os.open, f"/dev/{name}", os.O_RDONLY)
    for name in ("null", "zero", "full", "random", "urandom"):
        attempt(f"chmod /dev/{name}", os.chmod, f"/dev/{name}", 0o666)
        attempt(f"chown /dev/{name}", os.chown, f"/dev/{name}", os.getuid(), os.getgid())


def planted():
    path = "/tmp/planted"
    if not os.path.exists(path):
        with open("/bin/true", "rb") as source, open(path, "wb") as target:
            target.write(source.read())
        os.chmod(path, 0o6755)
    return path


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def sockets():
    raw, stream, datagram = socket.SOCK_RAW, socket.SOCK_STREAM, socket.SOCK_DGRAM
    kinds = {
        "raw IP": (2, raw, 6), "raw IP of any kind": (2, raw, 255), "raw IPv6": (10, raw, 6), "packet": (17, raw, 768),
        "packet, the old way": (2, 10, 768), "AF_ALG": (38, 5, 0), "AF_VSOCK": (40, stream, 0), "AF_XDP": (44, raw, 0),
        "AF_KEY": (15, raw, 2), "AF_BLUETOOTH": (31, raw, 1), "AF_CAN": (29, raw, 1), "AF_TIPC": (30, stream, 0),
        "AF_RDS": (21, 5, 0), "AF_KCM": (41, datagram, 0), "AF_QIPCRTR": (42, datagram, 0), "AF_SMC": (43, stream, 0),
        "SCTP": (2, stream, 132), "UDP-Lite": (2, datagram, 136), "MPTCP": (2, stream, 262), "DCCP": (2, 6, 33),
        "netlink audit": (16, raw, 9), "netlink between users": (16, raw, 2), "netlink events": (16, raw, 15),
        "netlink netfilter": (16, raw, 12), "netlink generic": (16, raw, 16), "netlink xfrm": (16, raw, 6),
    }  # fmt: skip
    for title, kind in kinds.items():
        attempt(title, socket.socket, *kind)
        attempt(f"pair of {title}", unheard_pair, *kind)


def unheard_pair(*kind):
    """A kernel that says that the family has no pairs has made the sockets by then, and loaded a module: that is too late."""
    try:
        socket.socketpair(*kind)
    except OSError as error:
        if error.errno == errno.ENOSYS:
            raise


def elevated():
    """Programs that would run as root."""
    import subprocess

    for title, command in (
        ("su", ["/usr/bin/su", "-c", "id -u"]),
        ("mount", ["/usr/bin/mount", "-t", "tmpfs", "x", "/tmp"]),
        ("passwd", ["/usr/bin/passwd", "-d", "root"]),
        ("newgrp", ["/usr/bin/newgrp", "root"]),
    ):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
            if done.returncode == 0:
                granted.append(f"set-uid {title}")
        except (OSError, subprocess.TimeoutExpired):
            pass


for part in (mounts, namespaces, processes, kernel, shared_files, users, sockets, elevated):
    part()
print(json.dumps({"granted": granted, "refused": refusals}))
