"""Frames that wait to be written: all that is appended in one turn of the loop leaves together. Any thread may append."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class Outbox:
    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._outbox: list[bytes] = []
        self._scheduled = False

    def append(self, frame: bytes) -> None:
        """From the loop: the frame leaves at the end of the turn."""
        self._outbox.append(frame)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.flush)

    def append_threadsafe(self, frame: bytes) -> None:
        self._outbox.append(frame)
        # The flag is cleared before the outbox is read: whoever finds it set has appended in time.
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon_threadsafe(self.flush)

    def flush(self) -> None:
        """Clears `_scheduled`, then writes what waits."""
        raise NotImplementedError
