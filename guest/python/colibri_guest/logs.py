"""
What user code writes: print, sys.stdout, sys.stderr and the logging module, as log entries tagged with the invocation.

Owns: the queue of entries, what is written of a line that has not ended, sys.stdout and sys.stderr. Does not own: the control
stream (it takes `frames()` when it can write), file descriptors 1 and 2 (what C code and os.write put there passes by).

1. The queue is bounded in entries and in characters; what does not fit is dropped, counted and told with the next frame.
2. Writing never blocks and never raises, from any thread, whether somebody reads or not.
3. The invocation is that of the writer's context: tasks inherit it, the guest's workers are given it; a thread that user code
   starts belongs to no invocation, unless it runs in a copied context.
"""

from __future__ import annotations

import io
import logging
import sys
from _thread import allocate_lock
from collections import deque
from contextvars import ContextVar
from time import time

from .frames import LOG, encode
from .messages import cut, encode_head
from .thrown import shorten_paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Callable, Optional, Tuple, Union

    Entry = Tuple[float, str, str, Optional[str], str, bool]
    """time, stream, level, invocation, text, truncated"""

MAXIMUM_TEXT = 16 * 1024
"""UTF-16 units of one entry's text."""
MAXIMUM_ENTRIES = 10_000
MAXIMUM_CHARACTERS = 2 * 1024 * 1024
"""Of all entries that wait."""
MAXIMUM_PARTIAL = 1_000
"""Lines that have not ended; those of invocations that are over would pile up."""
FRAME_ENTRIES = 500
FRAME_CHARACTERS = 64 * 1024
"""Of one frame's texts: JSON makes at most 6 bytes of each UTF-16 unit, so a frame stays far below its limit."""

invocation_id: ContextVar[Optional[str]] = ContextVar("colibri_invocation", default=None)


class Gap:
    """Entries that were dropped here."""

    __slots__ = ("dropped",)

    def __init__(self) -> None:
        self.dropped = 0


class LogQueue:
    def __init__(self) -> None:
        self._entries: deque[Union[Entry, Gap]] = deque()
        self._characters = 0
        self._lock = allocate_lock()
        # Called from any thread when there is something to send.
        self.wake: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def pending(self) -> bool:
        return len(self._entries) > 0

    def add(self, stream: str, level: str, invocation: Optional[str], text: str, lost: int = 0) -> None:
        """`lost`: characters after `text` that were cut before it came here."""
        kept = text if len(text) * 2 <= MAXIMUM_TEXT else cut(text, MAXIMUM_TEXT)
        lost += len(text) - len(kept)
        text = kept if lost == 0 else f"{kept}… ({lost} characters cut)"
        truncated = lost > 0
        with self._lock:
            if len(self._entries) >= MAXIMUM_ENTRIES or self._characters + len(text) > MAXIMUM_CHARACTERS:
                self._drop()
                return
            self._characters += len(text)
            self._entries.append((time() * 1000, stream, level, invocation, text, truncated))
        self.wake()

    def relay(self, log: dict[str, Any]) -> None:
        """Entries of another process, as they are."""
        dropped = log.get("dropped") or 0
        with self._lock:
            if dropped > 0:
                self._drop(dropped)
            for entry in log["entries"]:
                text = entry["text"]
                if len(self._entries) >= MAXIMUM_ENTRIES or self._characters + len(text) > MAXIMUM_CHARACTERS:
                    self._drop()
                    continue
                self._characters += len(text)
                invocation, truncated = entry.get("invocation"), entry.get("truncated") is True
                self._entries.append((entry["atMs"], entry["stream"], entry["level"], invocation, text, truncated))
        self.wake()

    def frames(self, wanted: Callable[[], bool]) -> Iterator[bytes]:
        """Takes what waits, oldest first, for as long as more is wanted."""
        while self.pending and wanted():
            entries, dropped = self._take()
            message: dict[str, Any] = {"entries": [_to_json(entry) for entry in entries]}
            if dropped > 0:
                message["dropped"] = dropped
            yield encode(LOG, 0, 0, encode_head(message))

    def _drop(self, count: int = 1) -> None:
        if not self._entries or type(self._entries[-1]) is not Gap:
            self._entries.append(Gap())
        self._entries[-1].dropped += count  # type: ignore[union-attr]

    def _take(self) -> tuple[list[Entry], int]:
        taken: list[Entry] = []
        characters = 0
        dropped = 0
        with self._lock:
            if type(self._entries[0]) is Gap:
                dropped = self._entries.popleft().dropped  # type: ignore[union-attr]
            while self._entries and len(taken) < FRAME_ENTRIES and characters < FRAME_CHARACTERS:
                entry = self._entries[0]
                if type(entry) is Gap:
                    break  # It stands before the next frame's entries.
                self._entries.popleft()
                characters += len(entry[4])
                taken.append(entry)
            self._characters -= characters
        return taken, dropped


def _to_json(entry: Entry) -> dict[str, Any]:
    at_ms, stream, level, invocation, text, truncated = entry
    value: dict[str, Any] = {"atMs": at_ms, "stream": stream, "level": level, "text": text}
    if invocation is not None:
        value["invocation"] = invocation
    if truncated:
        value["truncated"] = True
    return value


class LogText(io.TextIOBase):
    """sys.stdout or sys.stderr of user code: each line becomes an entry."""

    encoding = "utf-8"  # type: ignore[assignment]
    errors = "backslashreplace"  # type: ignore[assignment]

    def __init__(self, queue: LogQueue, stream: str, level: str, descriptor: int) -> None:
        self._queue = queue
        self._stream = stream
        self._level = level
        self._descriptor = descriptor
        # Lines that have not ended, by invocation, and how many characters were cut from their ends.
        self._partial: dict[Optional[str], tuple[str, int]] = {}
        self.buffer = LogBytes(self)
        self.mode = "w"
        self.name = f"<{stream}>"

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        invocation = invocation_id.get()
        start = 0
        end = text.find("\n")
        while end >= 0:
            self._end_line(invocation, text[start:end])
            start = end + 1
            end = text.find("\n", start)
        if start < len(text):
            self._keep(invocation, text[start:] if start else text)
        return len(text)

    def end(self, invocation: Optional[str]) -> None:
        """The invocation is over: its last line ends here."""
        if invocation in self._partial:
            self._end_line(invocation, "")

    def _end_line(self, invocation: Optional[str], text: str) -> None:
        if self._partial:
            before, lost = self._partial.pop(invocation, ("", 0))
            self._queue.add(self._stream, self._level, invocation, before + text, lost)
        else:
            self._queue.add(self._stream, self._level, invocation, text)

    def _keep(self, invocation: Optional[str], text: str) -> None:
        """A line without an end must not grow for ever: no more is kept than an entry may have."""
        if len(self._partial) >= MAXIMUM_PARTIAL:
            self.end(next(iter(self._partial)))
        before, lost = self._partial.get(invocation, ("", 0))
        room = MAXIMUM_TEXT - len(before)
        self._partial[invocation] = (before + text[:room], lost + max(0, len(text) - room))

    def fileno(self) -> int:
        """So that child processes can inherit it; what they write passes by the log."""
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        """Lines leave by themselves when they end."""

    def close(self) -> None:
        """A function that closes its output must not silence those after it."""

    def reconfigure(self, **_options: object) -> None:
        """Programs reconfigure their output to UTF-8 and line buffering: it is."""


class LogBytes(io.RawIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, text: LogText) -> None:
        self._text = text

    def write(self, data: Any) -> int:
        view = bytes(data)
        self._text.write(view.decode("utf-8", "backslashreplace"))
        return len(view)

    def fileno(self) -> int:
        return self._text.fileno()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """See LogText."""


class LogHandler(logging.Handler):
    """The root handler: one entry per record, traceback included."""

    def __init__(self, queue: LogQueue) -> None:
        super().__init__()
        self._queue = queue
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        if record.exc_info:
            text = shorten_paths(text)
        if record.name not in ("root", FUNCTION_LOGGER):
            text = f"{record.name}: {text}"
        self._queue.add("stderr", _level(record.levelno), invocation_id.get(), text)


FUNCTION_LOGGER = "function"
"""Name of the logger that a context carries."""


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    return "info" if number >= logging.INFO else "debug"


class Logs:
    """The process's output, once `install` has replaced it."""

    def __init__(self) -> None:
        self.queue = LogQueue()
        self.stdout = LogText(self.queue, "stdout", "info", 1)
        self.stderr = LogText(self.queue, "stderr", "error", 2)

    def install(self) -> None:
        sys.stdout = self.stdout  # type: ignore[assignment]
        sys.stderr = self.stderr  # type: ignore[assignment]
        root = logging.getLogger()
        root.addHandler(LogHandler(self.queue))
        root.setLevel(logging.INFO)
        logging.getLogger(FUNCTION_LOGGER).setLevel(logging.DEBUG)

    def error(self, invocation: Optional[str], text: str) -> None:
        self.queue.add("stderr", "error", invocation, text)

    def end(self, invocation: Optional[str]) -> None:
        self.stdout.end(invocation)
        self.stderr.end(invocation)
