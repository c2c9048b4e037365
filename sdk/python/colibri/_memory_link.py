"""A link between the two ends of one process: frames as bytes, without a socket."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import Any, Callable, Optional

from ._guest.frames import FrameReader
from ._guest.outbox import Outbox

Receive = Callable[[int, int, int, bytes, bytes], None]
"""type, flags, stream, head, body"""


class MemoryLink(Outbox):
    """The guest's end. What it appends is given to `receive`, on the loop, in the order in which it was appended."""

    def __init__(self, loop: AbstractEventLoop, receive: Receive) -> None:
        super().__init__(loop)
        self.closed = False
        self.drained = True
        self.handler: Any = None
        self._receive = receive
        self._reader = FrameReader()

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
