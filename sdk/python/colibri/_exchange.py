"""
One invocation as its gateway sees it.

Owns: the windows both ways, what came back. Used by two threads: the loop's, which receives, and the caller's, which sends and waits.

1. It settles once: with the guest's last word, when user code holds on past the grace, or when it ends its process.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from threading import Condition
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from ._guest.frames import CANCEL, DATA, END, FIN, HEAD, INITIAL_WINDOW, LAST, MAXIMUM_CHUNK, WINDOW

Send = Callable[[int, int, bytes, bytes], None]
"""type, flags, head, body; from any thread"""
Failed = Dict[str, Any]
"""code, name, message, stack"""


class Exchange:
    def __init__(self, send: Send, on_piece: Optional[Callable[[bytes], object]]) -> None:
        self.head: Optional[Dict[str, Any]] = None
        self.pieces: List[bytes] = []
        self.settled: Future[Optional[Failed]] = Future()
        """With what failed."""
        self.reason: Optional[str] = None
        """Why it was cancelled."""
        self._send = send
        self._on_piece = on_piece
        self._window = INITIAL_WINDOW
        self._owed = 0
        """Of the answer: taken, and not yet given credit for."""
        self._changed = Condition()

    # On the caller's thread.

    def send_body(self, first: bytes, rest: Iterable[bytes]) -> None:
        """`first` went with the invocation; the rest follows under its window, and the end."""
        self._window -= len(first)
        for piece in rest:
            for start in range(0, len(piece), MAXIMUM_CHUNK):
                if not self._send_piece(piece[start : start + MAXIMUM_CHUNK]):
                    return
        self._send(DATA, FIN, b"", b"")

    def _send_piece(self, piece: bytes) -> bool:
        """False: nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._window >= len(piece) or self.settled.done())
            self._window -= len(piece)
        if self.settled.done():
            return False
        self._send(DATA, 0, b"", piece)
        return True

    # On the loop.

    def receive(self, type: int, flags: int, head: bytes, body: bytes) -> None:
        if type == HEAD:
            self.head = json.loads(head)
        elif type == WINDOW:
            with self._changed:
                self._window += json.loads(head)["credit"]
                self._changed.notify_all()
        if body:
            self._take(bytes(body))
        if type == END:
            self._end(json.loads(head))
        elif flags & LAST:
            self.settle(None)

    def settle(self, failed: Optional[Failed]) -> None:
        if not self.settled.done():
            self.settled.set_result(failed)
        with self._changed:
            self._changed.notify_all()

    def cancel(self, reason: str) -> None:
        if self.reason is None and not self.settled.done():
            self.reason = reason
            self._send(CANCEL, 0, json.dumps({"reason": reason}).encode(), b"")

    def _take(self, piece: bytes) -> None:
        if self.reason is not None:
            return  # Nobody reads on.
        self.pieces.append(piece)
        self._owed += len(piece)
        if self._owed >= MAXIMUM_CHUNK:
            self._send(WINDOW, 0, json.dumps({"credit": self._owed}).encode(), b"")
            self._owed = 0
        if self._on_piece is None:
            return
        try:
            stays = self._on_piece(piece)
        except BaseException as error:
            # Nobody is told more; the test is told what its own code raised.
            self._on_piece = None
            self.cancel("client")
            self.settled.set_exception(error)
            return
        if stays is False:
            self.cancel("client")

    def _end(self, end: Dict[str, Any]) -> None:
        if end["outcome"] == "error":
            self.settle({"code": end["code"], **end["error"]})
        else:
            self.settle(None if end["outcome"] == "ok" else self.left())

    def left(self) -> Failed:
        """What a cancelled invocation failed with."""
        if self.reason == "deadline":
            return {"code": "function-timeout", "name": "TimeoutError", "message": "the function did not end within its timeout"}
        return {"code": "client-closed", "name": "CancelledError", "message": "the caller has left"}


def split_body(body: Any) -> Tuple[bytes, Optional[Iterable[bytes]]]:
    """What goes with the invocation, and what follows; None: nothing, it is whole."""
    if not isinstance(body, bytes):
        return b"", body
    if len(body) <= MAXIMUM_CHUNK:
        return body, None
    return body[:MAXIMUM_CHUNK], (body[MAXIMUM_CHUNK:],)
