"""
The body of an invocation on its way in.

Owns: what came and was not read, and what the gateway may still send (`_window`). Used by the loop only, but for `take_all`, once
the body is complete.

1. A body that is collected gives credit as it comes: its size is the gateway's limit. One that is streamed gives credit as the
   app reads, so no more than the window is held.
"""

from __future__ import annotations

from .frames import INITIAL_WINDOW, MAXIMUM_CHUNK, Violation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from typing import Callable, Optional


class Incoming:
    __slots__ = ("complete", "_pieces", "_window", "_uncredited", "_streamed", "_give_credit", "_waiting")

    def __init__(self, streamed: bool, give_credit: Callable[[int], None]) -> None:
        self.complete = False
        """All of it has come."""
        self._pieces: list[bytes] = []
        self._window = INITIAL_WINDOW
        self._uncredited = 0
        self._streamed = streamed
        self._give_credit = give_credit
        self._waiting: Optional[Future[None]] = None

    def add(self, body: bytes, fin: bool) -> None:
        """Raises Violation when the window is passed, or the end was."""
        if self.complete:
            raise Violation("a body goes on after its end")
        self.complete = fin
        if len(body) > MAXIMUM_CHUNK:
            raise Violation(f"a frame with {len(body)} bytes of body, over {MAXIMUM_CHUNK}")
        if body:
            self._window -= len(body)
            if self._window < 0:
                raise Violation(f"a body passed its window by {-self._window} bytes")
            self._pieces.append(body)
            if not self._streamed:
                self._credit(len(body))
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def take_all(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read(self, loop: AbstractEventLoop) -> bytes:
        """What has come since the last time; waits until there is something. Empty: the body is over."""
        while not self._pieces and not self.complete:
            self._waiting = loop.create_future()
            await self._waiting
        body = self.take_all()
        self._credit(len(body))
        return body

    def _credit(self, size: int) -> None:
        self._uncredited += size
        if self._uncredited >= MAXIMUM_CHUNK and not self.complete:
            credit, self._uncredited = self._uncredited, 0
            self._window += credit
            self._give_credit(credit)
