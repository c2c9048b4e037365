"""Locks and dates all files it is told of, in every way there is; tells how many locks it got, and holds them."""
import fcntl
import json
import os
import signal
import sys

orders = json.loads(sys.argv[1])
held, dated = [], []


def attempt(act, *args):
    try:
        act(*args)
        return 1
    except OSError:
        return 0


def locks_on(path, way):
    try:
        fd = os.open(path, way)
    except OSError:
        return 0
    held.append(fd)
    kind = fcntl.LOCK_SH if way == os.O_RDONLY else fcntl.LOCK_EX
    records = sum(attempt(fcntl.lockf, fd, kind | fcntl.LOCK_NB, 1, 2 * start) for start in range(10))
    return records + attempt(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


# The locks are those of the process that goes on.
reader, writer = os.pipe()
if os.fork() > 0:
    os.close(writer)
    print(os.read(reader, 65_536).decode(), flush=True)
    sys.exit()
os.setsid()
with open(os.devnull, "w") as nowhere:
    os.dup2(nowhere.fileno(), 1)
    os.dup2(nowhere.fileno(), 2)
    taken = sum(locks_on(path, way) for path in orders["files"] for way in (os.O_RDONLY, os.O_WRONLY))
    for path in orders["files"]:
        if attempt(os.utime, path):
            dated.append(path)
    os.write(writer, json.dumps({"locks": taken, "dated": dated}).encode())
    signal.pause()
