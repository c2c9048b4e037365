"""Sees, signals and slows down whoever it can: the pids told to it are the host's."""
import json
import os
import signal
import sys

orders = json.loads(sys.argv[1])


def refused(act, *args):
    try:
        act(*args)
        return None
    except OSError as error:
        return error.strerror


def seen():
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                found[pid] = file.read().replace("\0", " ")
        except OSError:
            pass
    return found


tried = {}
for pid in orders["pids"]:
    tried[pid] = {
        "exists": os.path.exists(f"/proc/{pid}"),
        "memory": os.access(f"/proc/{pid}/mem", os.R_OK),
        "stop": refused(os.kill, pid, signal.SIGSTOP),
        "group": refused(os.killpg, pid, signal.SIGKILL),
        "slow": refused(os.setpriority, os.PRIO_PROCESS, pid, 19),
        "affinity": refused(os.sched_setaffinity, pid, [0]),
        "pidfd": refused(os.pidfd_open, pid),
    }
answer = {"seen": seen(), "tried": tried}
# All that may be signalled, ourselves excepted; then the first process, of which the kernel takes care in its own namespace.
answer["all"] = refused(os.kill, -1, signal.SIGTERM) if orders.get("all") else None
answer["first"] = refused(os.kill, 1, signal.SIGKILL) if orders.get("all") else None
print(json.dumps(answer))
