"""Takes all there is of one thing; tells how much it got. What is limited by memory may end it, and its sandbox."""
import json
import os
import resource
import signal
import socket
import sys
import time

MIB = 1 << 20
orders = json.loads(sys.argv[1])
held = []


def until_refused(take, most):
    taken = 0
    try:
        while taken < most:
            taken += take()
    except (OSError, MemoryError):
        pass
    return taken


def memory():
    return until_refused(lambda: held.append(bytearray(os.urandom(MIB))) or 1, 1 << 20)


def files_in(folder):
    path = os.path.join(folder, f"flood-{os.getpid()}")
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    chunk = b"x" * (64 << 10)
    return until_refused(lambda: os.write(fd, chunk), orders["most"])


def names_in(folder):
    def take():
        os.close(os.open(os.path.join(folder, f"n{len(held)}"), os.O_CREAT | os.O_WRONLY, 0o600))
        held.append(None)
        return 1

    return until_refused(take, orders["most"])


def descriptors():
    return until_refused(lambda: held.append(os.dup(0)) or 1, 1 << 20)


def pipes():
    def take():
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        held.append(reader)
        return os.write(writer, b"x" * (64 << 10))

    return until_refused(take, orders["most"])


def datagrams():
    """What can be received again is what the kernel holds."""
    for _ in range(orders["sockets"]):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
        one.bind(("127.0.0.1", 0))
        held.append(one)
        until_refused(lambda: one.sendto(b"x" * 32_000, one.getsockname()), MIB)
    return sum(until_refused(lambda: len(one.recv(65_536)), 64 * MIB) for one in held)


def streams():
    server = socket.create_server(("127.0.0.1", 0), backlog=128)
    for _ in range(orders["sockets"]):
        one = socket.create_connection(server.getsockname(), timeout=2)
        one.setblocking(False)
        held.append((one, server.accept()[0]))
        held_bytes = until_refused(lambda: one.send(b"x" * 65_536), 8 * MIB)
        held.append(held_bytes)
    return sum(one for one in held if isinstance(one, int))


def signals():
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN + 5})
    send = lambda: 1 if libc.sigqueue(os.getpid(), signal.SIGRTMIN + 5, None) == 0 else int("refused")  # noqa: E731
    taken = 0
    try:
        while taken < orders["most"]:
            taken += send()
    except ValueError:
        pass
    return taken


def forks():
    """Its children fork as well, heed no signal, and leave every group and session."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() > 0:
        return 0
    os.setsid()
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    while True:
        try:
            if os.fork() == 0 and os.getpid() % 3 == 0:
                os.setsid()
                os.kill(os.getpid(), signal.SIGSTOP)
        except OSError:
            time.sleep(0.01)


def spin():
    for _ in range(orders["processes"]):
        if os.fork() == 0:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            while True:
                pass
    return orders["processes"]


what, *where = orders["of"].split(" ")
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
taken = {
    "memory": memory, "files": lambda: files_in(where[0]), "names": lambda: names_in(where[0]), "descriptors": descriptors,
    "pipes": pipes, "datagrams": datagrams, "streams": streams, "signals": signals, "forks": forks, "spin": spin,
}[what]()  # fmt: skip
print(json.dumps({"taken": taken}), flush=True)
