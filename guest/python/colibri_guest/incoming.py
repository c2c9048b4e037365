"""
The body of an invocation on its way in.

Owns: what came and was not read, and what the gateway may still send (`_window`). Used by the loop only, but for `take_all`, once
the body is complete, and `read_in_thread`.

1. A body that is collected gives credit as it comes: its size is the gateway's limit. One that is streamed gives credit as the
   app reads, so no more than the window is held.
"""

from __future__ import annotations

from _thread import allocate_lock

from .frames import INITIAL_WINDOW, MAXIMUM_CHUNK, Violation
from .outgoing import Cancelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from _thread import LockType
    from typing import Callable, Optional


class Incoming:
    __slots__ = ("complete", "_pieces", "_window", "_uncredited", "_streamed", "_give_credit", "_waiting", "_blocked", "_stopped")

    def __init__(self, streamed: bool, give_credit: Callable[[int], None]) -> None:
        self.complete = False
        """All of it has come."""
        self._pieces: list[bytes] = []
        self._window = INITIAL_WINDOW
        self._uncredited = 0
        self._streamed = streamed
        self._give_credit = give_credit
        self._waiting: Optional[Future[None]] = None
        self._blocked: Optional[LockType] = None
        """Held by a thread that waits for more."""
        self._stopped = False

    def add(self, body: bytes, fin: bool) -> None:
        """Raises Violation when the window is passed, or the end was."""
        if self.complete:
            raise Violation("a body goes on after its end")
        if len(body) > MAXIMUM_CHUNK:
            raise Violation(f"a frame with {len(body)} bytes of body, over {MAXIMUM_CHUNK}")
        if body:
            self._window -= len(body)
            if self._window < 0:
                raise Violation(f"a body passed its window by {-self._window} bytes")
            self._pieces.append(body)
            if not self._streamed:
                self._credit(len(body))
        # After the piece: a thread that sees the end has all of it.
        self.complete = fin
        self._wake()

    def stop(self) -> None:
        """Nobody waits for the answer any more: who waits for the body stops too."""
        self._stopped = True
        self._wake()

    def take_all(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read(self, loop: AbstractEventLoop) -> bytes:
        """What has come since the last time; waits until there is something. Empty: the body is over, or stopped."""
        while not self._pieces and not self.complete and not self._stopped:
            self._waiting = loop.create_future()
            await self._waiting
        body = self.take_all()
        self._credit(len(body))
        return body

    def read_in_thread(self, loop: AbstractEventLoop) -> bytes:
        """As `read`, blocking a worker's thread. Raises Cancelled where nobody waits for the answer any more."""
        while True:
            if self._stopped:
                raise Cancelled
            complete = self.complete
            body = self._take_in_thread()
            if body:
                loop.call_soon_threadsafe(self._credit, len(body))
                return body
            if complete:
                return b""
            self._block()

    def _take_in_thread(self) -> bytes:
        # Piece by piece, since the loop may be adding one.
        taken: list[bytes] = []
        while self._pieces:
            taken.append(self._pieces.pop(0))
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _block(self) -> None:
        blocked = allocate_lock()
        blocked.acquire()
        self._blocked = blocked
        # What came before the loop could see that we wait is seen here.
        if not self._pieces and not self.complete and not self._stopped:
            blocked.acquire()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        blocked, self._blocked = self._blocked, None
        if blocked is not None:
            blocked.release()

    def _credit(self, size: int) -> None:
        self._uncredited += size
        if self._uncredited >= MAXIMUM_CHUNK and not self.complete:
            credit, self._uncredited = self._uncredited, 0
            self._window += credit
            self._give_credit(credit)
