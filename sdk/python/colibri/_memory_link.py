"""A link between the two ends of one process: frames as bytes, without a socket."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Any, Callable, List, Optional

from ._guest.frames import FrameReader

Receive = Callable[[int, int, int, bytes, bytes], None]
"""type, flags, stream, head, body"""


class MemoryLink:
    """The guest's end. What it appends is given to `receive`, on the loop, in the order in which it was appended."""

    def __init__(self, loop: AbstractEventLoop, receive: Receive) -> None:
        self.closed = False
        self.drained = True
        self.handler: Any = None
        self._loop = loop
        self._receive = receive
        self._reader = FrameReader()
        self._outbox: List[bytes] = []
        self._scheduled = False

    def append(self, frame: bytes) -> None:
        self._outbox.append(frame)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def append_threadsafe(self, frame: bytes) -> None:
        self._outbox.append(frame)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        self._scheduled = False
        count = len(self._outbox)
        if self.handler is not None:
            self.handler.flushing()
        data = b"".join(self._outbox[:count])
        del self._outbox[:count]
        for frame in self._reader.push(data):
            self._receive(*frame)

    def close(self, reason: Optional[str] = None) -> None:
        assert reason is None, f"the test kit broke the guest's protocol: {reason}"
        if not self.closed:
            self.closed = True
            self.handler.closed()
