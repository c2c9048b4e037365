"""
One slot of `execution: process`: a process that is a guest of its own, with one slot, in a folder of its own.

Owns: the process, its folder, a control and a data stream to it. Used by the loop only, but for two threads that wait for its
standard error and its end.

1. At most one invocation runs in it.
2. `gone` is told once, after all it said was heard.
3. Nothing that it sends is trusted: what breaks the contract closes its stream, and that ends it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys

from . import messages
from .frames import (
    ACCEPTED,
    DATA,
    DRAIN,
    END,
    FAILED,
    HEAD,
    HELLO,
    INIT,
    INVOKE,
    LOAD,
    LOADED,
    LOG,
    MISROUTED,
    PONG,
    READY,
    WINDOW,
    Violation,
    encode,
)
from .last_words import LONGEST_LINE, LastWords
from .link import DialedLink
from .messages import decode_head, encode_head
from .oom_kills import was_killed_for_memory
from .packages import child_command
from .thrown import Failure
from .workers import start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional

    from .frames import Bytes
    from .logs import LogQueue
    from .relayed import RelayedInvocation

HEARD_S = 0.25
"""Sockets and pipes of a process that has ended are read to their end; a grandchild may hold a pipe open."""
AGAIN_S = 0.002
"""Between two looks at whether it listens."""
PROGRAM = os.path.abspath(sys.argv[0])


class ChildFailure(Failure):
    """What user code did wrong while a child was loaded or initialised; the child has logged it."""

    def __init__(self, code: str, error: dict[str, str]) -> None:
        super().__init__(code, error["message"], error["name"])
        self.error = error


class Child:
    def __init__(self, loop: asyncio.AbstractEventLoop, logs: LogQueue, folder: str, gone: Callable[[Child], None]) -> None:
        self.end: Optional[str] = None
        """How it ended; None while it runs."""
        self.end_code = "function-exited"
        """What that means to its invocation."""
        self.was_ready = False
        self._loop = loop
        self._logs = logs
        self._folder = folder
        self._memory_mib = 0
        self._gone = gone
        self._words = LastWords()
        self._how: Optional[str] = None
        """Its process has ended so; it may still be heard."""
        self._phase = "load"
        self._answer: asyncio.Future[None] = loop.create_future()
        self._welcomed: asyncio.Future[None] = loop.create_future()
        self._control: Optional[DialedLink] = None
        self._data: Optional[DialedLink] = None
        self._stream = 0
        self._current: Optional[RelayedInvocation] = None
        self._breach: Optional[str] = None
        """What it did to be ended."""
        os.makedirs(folder)
        command, environment = child_command(PROGRAM)
        pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, **pipes)
        start_thread(self._watch)

    # What the front asks.

    async def load(self, request: dict[str, Any]) -> None:
        """Raises ChildFailure."""
        self._expect("load")
        self._memory_mib = request["memoryMiB"]
        self._control = await self._dial("control", _Streams(self._on_control, self.kill_lost))
        await self._ask(LOAD, request)

    async def init(self, timeout_ms: int) -> None:
        """Raises ChildFailure; it may be asked again then."""
        self._expect("init")
        await self._ask(INIT, {"timeoutMs": timeout_ms})
        self._data = await self._dial("data", _Streams(self._on_data, self.kill_lost))
        self._data.append(encode(HELLO, 0, 0, encode_head({"owner": "front", "epoch": 1})))
        await asyncio.wait({self._welcomed, self._ended_answer()}, return_when=asyncio.FIRST_COMPLETED)
        self._check()
        self.was_ready = True

    def invoke(self, invocation: RelayedInvocation, flags: int, head: bytes, body: Bytes) -> None:
        self._current = invocation
        self._stream += 1
        self.send(INVOKE, flags, head, body)

    def send(self, type: int, flags: int, head: bytes = b"", body: Bytes = b"") -> None:
        """Of the current invocation."""
        if self._data is not None:
            self._data.append(encode(type, flags, self._stream, head, body))

    def release(self) -> None:
        """Its invocation is over."""
        self._current = None

    def drain(self, grace_ms: int) -> None:
        if self._control is None:
            self.kill()
        else:
            self._control.append(encode(DRAIN, 0, 0, encode_head({"graceMs": grace_ms})))

    def kill(self) -> None:
        self._process.kill()

    def kill_lost(self) -> None:
        """Without its streams it is of no use."""
        if self._how is not None:
            self._settle_end()
        else:
            self.kill()

    # Loading and initialising.

    def _expect(self, phase: str) -> None:
        self._phase = phase
        self._answer = self._loop.create_future()
        # Not awaited by all who may have asked.
        self._answer.add_done_callback(lambda answer: answer.exception())
        self._check()

    async def _ask(self, type: int, message: dict[str, Any]) -> None:
        assert self._control is not None, "it was dialed first"
        self._control.append(encode(type, 0, 0, encode_head(message)))
        await self._answer

    def _ended_answer(self) -> asyncio.Future[None]:
        """Done when the process has ended."""
        self._answer = self._loop.create_future()
        self._answer.add_done_callback(lambda answer: answer.exception())
        self._check()
        return self._answer

    def _check(self) -> None:
        if self.end is not None:
            raise self._failure()

    def _failure(self) -> ChildFailure:
        return ChildFailure(f"{self._phase}-failed", {"name": "Error", "message": self.end or "it has ended"})

    async def _dial(self, kind: str, streams: _Streams) -> DialedLink:
        path = os.path.join(self._folder, "guest.sock")
        while True:
            self._check()
            try:
                _, link = await self._loop.create_unix_connection(lambda: self._make_link(kind, streams), path)
                return link
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(AGAIN_S)

    def _make_link(self, kind: str, streams: _Streams) -> DialedLink:
        return DialedLink(self._loop, kind, streams, self._broken)

    def _broken(self, reason: str) -> None:
        self._breach = self._breach or reason

    # What it says.

    def _on_control(self, type: int, _flags: int, stream: int, head: bytes, _body: bytes) -> None:
        if type in (LOADED, READY):
            if not self._answer.done():
                self._answer.set_result(None)
        elif type == FAILED:
            failed = decode_head(head, "FAILED", messages.FAILED)
            if not self._answer.done():
                self._answer.set_exception(ChildFailure(failed["code"], failed["error"]))
        elif type == LOG:
            self._logs.relay(decode_head(head, "LOG", messages.LOG))
        elif type not in (HELLO, PONG):
            raise Violation(f"a frame of type 0x{type:02x} on stream {stream} of a control stream")

    def _on_data(self, type: int, flags: int, stream: int, head: bytes, body: bytes) -> None:
        if type == HELLO and stream == 0:
            if not self._welcomed.done():
                self._welcomed.set_result(None)
            return
        if stream != self._stream:
            raise Violation(f"a frame of type 0x{type:02x} on stream {stream}, which is not its own")
        current = self._current
        if current is None:
            return  # Of what is over, there may be more on its way.
        if type == ACCEPTED:
            current.accepted()
        elif type == MISROUTED:
            current.refused()
        elif type in (HEAD, DATA, END, WINDOW):
            current.relay(type, flags, head, body)
        else:
            raise Violation(f"a frame of type 0x{type:02x} has no place on a data stream")

    # Its end.

    def _watch(self) -> None:
        """In a thread of its own."""
        from threading import Thread

        reader = Thread(target=self._read_standard_error, daemon=True, name="colibri")
        reader.start()
        code = self._process.wait()
        reader.join(HEARD_S)
        if code == -9 and was_killed_for_memory():
            self.end_code = "out-of-memory"
        how = f"exited with code {code}" if code >= 0 else f"was killed by {_signal_name(-code)}"
        self._loop.call_soon_threadsafe(self._ended, how)

    def _read_standard_error(self) -> None:
        """What it writes past its log goes where ours goes, and its end says how it ended."""
        assert self._process.stderr is not None, "it is a pipe"
        while True:
            text = os.read(self._process.stderr.fileno(), 65536)
            if not text:
                return
            self._words.add(text)
            try:
                os.write(2, text)
            except OSError:
                pass  # Nobody reads it.

    def _ended(self, how: str) -> None:
        self._how = how
        if self._open_links():
            self._loop.call_later(HEARD_S, self._settle_end, True)
        else:
            self._settle_end()

    def _open_links(self) -> bool:
        return any(link is not None and not link.closed for link in (self._control, self._data))

    def _settle_end(self, now: bool = False) -> None:
        if self.end is not None or (not now and self._open_links()):
            return
        line = self._words.line if self._breach is None else f"it broke the guest link: {self._breach}"
        said = "" if line is None else f": {line[:LONGEST_LINE]}"
        killed_for_memory = self.end_code == "out-of-memory"
        self.end = f"out of memory at {self._memory_mib} MiB" if killed_for_memory else f"the function's process {self._how}{said}"
        shutil.rmtree(self._folder, ignore_errors=True)
        if not self._answer.done():
            self._answer.set_exception(self._failure())
        self._gone(self)


class _Streams:
    """Handler of one link to a child."""

    def __init__(self, frame: Callable[..., None], closed: Callable[[], None]) -> None:
        self.frame = frame
        self.closed = closed

    def turn(self) -> None:
        pass

    def drained(self) -> None:
        pass

    def flushing(self) -> None:
        pass


def _signal_name(number: int) -> str:
    import signal

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
