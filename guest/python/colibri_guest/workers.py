"""Threads that run plain handlers. Started as they are needed, never more than asked for, never ended before the process."""

from __future__ import annotations

from contextvars import copy_context
from queue import SimpleQueue
from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable

    Work = Callable[[], None]


class Workers:
    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._threads = 0
        self._queue: SimpleQueue[Work] = SimpleQueue()
        self._context = copy_context()

    def run(self, work: Work, busy: int) -> None:
        """`busy`: how many were given work that has not ended, this one included. `work` must not raise."""
        if self._threads < busy and self._threads < self._maximum:
            self._threads += 1
            start_thread(self._serve)
        self._queue.put(work)

    def close(self) -> None:
        """Threads end when what they were given has. Nothing may be run any more."""
        for _ in range(self._threads):
            self._queue.put(_end_thread)

    def _serve(self) -> None:
        get = self._queue.get
        copy = self._context.copy
        while True:
            work = get()
            # A copied context each time: nothing that one invocation sets is seen by the next.
            copy().run(work)
            del work


def _end_thread() -> None:
    raise SystemExit  # Which `threading` takes for the end of a thread.


def start_thread(target: Callable[[], None]) -> None:
    """A thread that does not hold up the end of the process."""
    Thread(target=target, daemon=True, name="colibri").start()
