"""
The answer's way out: HEAD, then DATA under the window, then the end.

Owns: what may still be sent (`_credit`). Used by one producer at a time, a worker's thread or a task of the loop; the loop gives
credit and cancels.

1. A body never passes the window: the producer waits, blocking its thread or suspending its task.
2. The frame with LAST is appended once, as the last of its stream, after the invocation was told to be over (`_finished`).
3. Once cancelled, waiting ends and raises `Cancelled`; the only frame that may follow is the end.
"""

from __future__ import annotations

from _thread import allocate_lock

from .frames import DATA, END, FIN, HEAD, INITIAL_WINDOW, LAST, MAXIMUM_CHUNK, encode
from .messages import encode_head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from typing import Callable, Optional

    from .answers import Answer
    from .frames import Bytes

CANCELLED = encode_head({"outcome": "cancelled"})
OK = encode_head({"outcome": "ok"})
# Heads of the usual answers, encoded once.
_heads: dict[tuple[int, tuple[str, ...]], bytes] = {}
KEPT_HEADS = 64


class Cancelled(BaseException):
    """Raised where an answer is produced that nobody waits for any more."""


class Outgoing:
    __slots__ = ("_append", "_cancelled", "_credit", "_finished", "_lock", "_stream", "_wake", "headed", "over")

    def __init__(self, stream: int, append: Callable[[bytes], None], finished: Callable[[], None]) -> None:
        self.headed = False
        self.over = False
        self._stream = stream
        self._append = append
        self._finished = finished
        self._credit = INITIAL_WINDOW
        self._cancelled = False
        self._lock = allocate_lock()
        self._wake: Optional[Callable[[], None]] = None

    # From the loop.

    def give(self, credit: int) -> None:
        with self._lock:
            self._credit += credit
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    # From the producer.

    def send_whole(self, answer: Answer) -> bool:
        """An answer that fits one frame, in one frame. False: it does not fit."""
        if len(answer.body) > MAXIMUM_CHUNK:
            return False
        self.headed = True
        self._finish(HEAD, FIN | LAST, encode_answer_head(answer.status, answer.headers), answer.body)
        return True

    def send_head(self, status: int, headers: tuple[str, ...], body: Bytes = b"", fin: bool = False) -> None:
        """`body` fits one frame, and is the first thing sent: it is within the window."""
        if self._cancelled:
            raise Cancelled
        self.headed = True
        self._credit -= len(body)
        self._append(encode(HEAD, FIN if fin else 0, self._stream, encode_answer_head(status, headers), body))

    def write(self, data: Bytes) -> None:
        """Blocks the thread while the window is closed."""
        rest = memoryview(data)
        while len(rest) > 0:
            allowed = self._take(len(rest))
            if allowed == 0:
                self._block()
                continue
            self._append(encode(DATA, 0, self._stream, b"", rest[:allowed]))
            rest = rest[allowed:]

    async def write_on_loop(self, data: Bytes, loop: AbstractEventLoop) -> None:
        """Suspends the task while the window is closed."""
        rest = memoryview(data)
        while len(rest) > 0:
            allowed = self._take(len(rest))
            if allowed == 0:
                await self._suspend(loop)
                continue
            self._append(encode(DATA, 0, self._stream, b"", rest[:allowed]))
            rest = rest[allowed:]

    def finish_body(self) -> None:
        self._append(encode(DATA, FIN, self._stream))

    def end_ok(self) -> None:
        """After the body's end."""
        self._finish(END, LAST, OK)

    def end(self, head: bytes) -> None:
        """Over without (the rest of) an answer."""
        self._finish(END, LAST, head)

    def _finish(self, type: int, flags: int, head: bytes, body: Bytes = b"") -> None:
        frame = encode(type, flags, self._stream, head, body)
        self.over = True
        self._finished()
        self._append(frame)

    def _take(self, wanted: int) -> int:
        with self._lock:
            if self._cancelled:
                raise Cancelled
            allowed = min(wanted, self._credit, MAXIMUM_CHUNK)
            self._credit -= allowed
            return allowed

    def _block(self) -> None:
        waiting = allocate_lock()
        waiting.acquire()
        if self._wait_with(waiting.release):
            waiting.acquire()

    async def _suspend(self, loop: AbstractEventLoop) -> None:
        waiting = loop.create_future()
        if self._wait_with(lambda: waiting.done() or waiting.set_result(None)):
            await waiting

    def _wait_with(self, wake: Callable[[], object]) -> bool:
        """False: there is no need to wait any more."""
        with self._lock:
            if self._cancelled or self._credit > 0:
                return False
            self._wake = wake  # type: ignore[assignment]
            return True


def encode_answer_head(status: int, headers: tuple[str, ...]) -> bytes:
    key = (status, headers)
    head = _heads.get(key)
    if head is None:
        head = encode_head({"status": status, "headers": headers})
        if len(_heads) < KEPT_HEADS:
            _heads[key] = head
    return head


def encode_failure(code: str, error: dict[str, str]) -> bytes:
    return encode_head({"outcome": "error", "code": code, "error": error})
